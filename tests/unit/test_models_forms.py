"""Other forms of mails in a fine-tuning: of how many, of whose, and that each is asked what its origin is asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from mailweir.models.text.model_input import compose_fields
from mailweir.models.training.corpus import MailRow, load_mails
from mailweir.models.training.data.augment import KINDS
from mailweir.models.training.prepare import Prepared, prepare, row_input
from mailweir.models.training.public import PublicRow
from mailweir.models.training.recipe import Steps, progress_bars
from mailweir.models.training.split import Run, Split
from mailweir.models.training.tags import UNKNOWN
from mailweir.models.training.tiny import TINY, tiny_base
from mailweir.models.training.tune import Examples
from mailweir.models.training.tuned import examples_of, forms_of, tags_of
from mailweir.models.training.tuning import Tuning

FITTED, CHOOSING, TEST = {"ada", "cleo", "dov", "ebru"}, "sam", "iris"


@pytest.fixture(scope="module")
def rows() -> list[MailRow]:
    return [row for row in load_mails() if row.author in {*FITTED, CHOOSING, TEST}][::3]


def run(rows: list[MailRow], share: float, seed: int = 7) -> Run:
    recipe = replace(TINY, seed=seed, tuning=Tuning(augment=share), validation=(CHOOSING,), test=frozenset({TEST}))
    split = Split.by_author(rows, recipe.folds, recipe.test, recipe.validation)
    return Run(rows, split, recipe, Steps(progress_bars(hidden=True)))


@pytest.fixture(scope="module")
def half(rows: list[MailRow]) -> Run:
    """A run that learns from half of its mails in another form as well."""
    return run(rows, 0.5)


@pytest.fixture(scope="module")
def ready(rows: list[MailRow], half: Run) -> Prepared:
    return prepare(tiny_base(rows), half)


@pytest.fixture(scope="module")
def examples(half: Run, ready: Prepared) -> Examples:
    """With one public mail at the end."""
    public = PublicRow("lingspam", compose_fields("buy", "a@b.example", "", "now", ()), {"category": ("spam",)})
    return examples_of(half, ready, [public])


@pytest.mark.parametrize(("share", "of"), [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)])
def test_a_share_of_the_mails_to_learn_from_has_another_form(share: float, of: float, rows: list[MailRow]) -> None:
    """None, half, all of them: each mail once, and never one of the authors who choose and measure."""
    given = run(rows, share)
    forms = forms_of(given)
    learned = int(given.split.fitting.sum())
    assert learned > 200
    assert 0.97 * of * learned <= len(forms) <= round(of * learned)
    assert len({origin for origin, _ in forms}) == len(forms)
    assert {form.author for _, form in forms} == (FITTED if share else set())


def test_without_a_share_a_run_learns_from_its_rows_alone(rows: list[MailRow], ready: Prepared) -> None:
    """As many examples as rows, whose tokens are those of the rows."""
    given = examples_of(run(rows, 0.0), ready, [])
    assert len(given.mails) == len(rows)
    assert all((mail == read.ids).all() for mail, read in zip(given.mails, ready.tokens, strict=True))


def test_a_form_is_its_origin_in_other_letters(half: Run) -> None:
    """Every kind occurs; text or number differs, id and author say where it is from."""
    forms = forms_of(half)
    for origin, form in forms:
        row = half.rows[origin]
        assert (form.subject, form.body) != (row.subject, row.body)
        assert (form.id.partition("+")[0], form.author, form.labels) == (row.id, row.author, row.labels)
    counts = Counter(form.id.partition("+")[2] for _, form in forms)
    assert set(counts) == set(KINDS)


def test_the_same_seed_gives_the_same_forms(rows: list[MailRow], half: Run) -> None:
    """So a run that was cut off goes on with what it had; another seed takes other mails."""
    again, other = forms_of(run(rows, 0.5)), forms_of(run(rows, 0.5, seed=8))
    assert again == forms_of(half)
    assert {origin for origin, _ in other} != {origin for origin, _ in again}


def test_a_form_is_asked_what_its_origin_is_asked(half: Run, examples: Examples) -> None:
    """The same answers, known for the same heads, and its turn in a curriculum; rows, then forms, then public mail."""
    forms = forms_of(half)
    origins = [origin for origin, _ in forms]
    there = slice(len(half.rows), len(half.rows) + len(forms))
    assert len(examples.mails) == len(half.rows) + len(forms) + 1
    for question in examples.questions:
        np.testing.assert_array_equal(question.answers[there], question.answers[origins])
        np.testing.assert_array_equal(question.known[there], question.known[origins])
    assert examples.late is not None
    np.testing.assert_array_equal(examples.late[there], examples.late[origins])
    assert [question.known[-1] for question in examples.questions] == [q.name == "category" for q in examples.questions]


def test_tags_of_a_form_stand_on_the_texts_of_its_marks(half: Run, ready: Prepared, examples: Examples) -> None:
    """Whatever is tagged in it is part of a mark of that type, and no less is tagged than in the rows themselves."""
    forms, names = forms_of(half), tags_of(half)
    begun = Counter[str]()
    for place, (origin, form) in enumerate(forms):
        given, tags = row_input(form), examples.tags[len(half.rows) + place]
        offsets = ready.read(given).encoding.offsets
        np.testing.assert_array_equal(ready.read(given).ids, examples.mails[len(half.rows) + place])
        assert tags is not None
        for tag, (start, end) in zip(tags, offsets, strict=False):
            if tag not in {0, UNKNOWN}:
                kind, written = names[tag][2:], given.written[start:end].strip()
                texts = [" ".join(mark.text.split()) for mark in form.entities if mark.type == kind]
                assert any(written in text for text in texts), (form.id, kind, written)
        begun["form"] += _begun(tags, names)
        begun["row"] += _begun(examples.tags[origin], names)
    assert begun["row"] > 100
    assert begun["form"] > 0.9 * begun["row"]


def _begun(tags: np.ndarray | None, names: tuple[str, ...]) -> int:
    assert tags is not None
    return sum(tag != UNKNOWN and names[tag].startswith("B-") for tag in tags)
