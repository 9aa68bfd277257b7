"""Augmentation keeps labels and marks, over the whole corpus; what it learns from is not what the robustness report asks."""

from __future__ import annotations

import re
from collections import Counter
from random import Random
from typing import get_args

import pytest

from mailweir.models.evaluation.tally import SEED
from mailweir.models.text.occurrences import occurrences
from mailweir.models.text.perturb import PERTURBATIONS, perturb
from mailweir.models.training.corpus import EntityMark, MailRow, load_mails
from mailweir.models.training.data.augment import KINDS, augmented
from mailweir.models.training.data.guide import breaks_of
from mailweir.models.training.data.recipe import Kind
from mailweir.models.training.data.substitute import same_shape, substituted

LETTER = (
    "Hello, we would like to move the delivery of the remaining pallets to another warehouse because the roof leaks\n"
    * 8
)


@pytest.fixture(scope="module")
def corpus() -> list[MailRow]:
    return load_mails()


def mail(body: str, *marks: tuple[str, str], language: str = "en", subject: str = "") -> MailRow:
    entities = [{"type": kind, "text": text} for kind, text in marks]
    made = {"id": "ann-1", "author": "ann", "language": language, "subject": subject, "from": "a@b.example", "to": []}
    rest = {"date": "", "mailbox": "sales", "labels": {}, "entities": entities}
    return MailRow.model_validate(made | rest | {"body": body})


@pytest.mark.parametrize("kind", KINDS)
def test_every_mark_is_still_found(kind: str, corpus: list[MailRow]) -> None:
    """On every mail of the corpus: each mark stands in the text as it did, labels are the same, the guide holds."""
    made = [(row, found) for row in corpus if (found := KINDS[kind](row, Random(row.id)))]
    assert len(made) > 1_000
    for row, found in made:
        assert found.labels == row.labels
        assert [mark.type for mark in found.entities] == [mark.type for mark in row.entities]
        assert (found.subject, found.body) != (row.subject, row.body)
        for before, after in zip(row.entities, found.entities, strict=True):
            stood = any(occurrences(text, before.text) for text in (row.subject, row.body))
            stands = any(occurrences(text, after.text) for text in (found.subject, found.body))
            assert stands or (not stood and (after.text in found.body or after.text in found.subject)), row.id
        assert list(breaks_of(found)) == list(breaks_of(row))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_chance_gives_the_same_text(kind: str, corpus: list[MailRow]) -> None:
    """No other source of chance is asked."""
    for row in corpus[::200]:
        assert KINDS[kind](row, Random(3)) == KINDS[kind](row, Random(3))


def test_casing_is_one_or_the_other() -> None:
    """Small more often than capitals, and the same in subject and body."""
    made = (KINDS["casing"](mail("Red Ink", subject="No"), Random(seed)) for seed in range(200))
    counts = Counter((found.subject, found.body) for found in made if found)
    assert set(counts) == {("no", "red ink"), ("NO", "RED INK")}
    assert counts["no", "red ink"] > counts["NO", "RED INK"] > 20


def test_a_recipe_knows_every_kind() -> None:
    """The words of a recipe are those of the table."""
    assert get_args(Kind) == tuple(KINDS)


def test_orders_and_good_words_are_not_learned_from(corpus: list[MailRow]) -> None:
    """Their words are few: who has learned them by heart is not robust."""
    lines = {PERTURBATIONS["prompt"].change("", Random(seed)).strip() for seed in range(40)}
    good = {word for seed in range(9) for word in PERTURBATIONS["good_words"].change("", Random(seed)).split()}
    forms = [found for row in corpus[::20] for kind in KINDS if (found := KINDS[kind](row, Random(1)))]
    assert len(lines) == 4
    assert len(good) > 20
    assert not [form.id for form in forms if any(line in form.body for line in lines)]
    tails = [(form.body.rpartition("\n")[2].split(), form.id) for form in forms]
    assert not [row for words, row in tails if len(words) > 4 and good.issuperset(words)]


@pytest.mark.parametrize("name", ["typos", "html"])
def test_the_report_asks_what_training_has_not_seen(name: str, corpus: list[MailRow]) -> None:
    """The same way with another seed is another text: of 50 mails, no two are alike."""
    rows = [row for row in corpus if len(row.body.split()) > 100][:50]
    for row in rows:
        learned = KINDS[name](row, Random(7))
        assert learned is not None
        asked = perturb(name, row.subject, row.body, [mark.text for mark in row.entities], f"{SEED} {name} {row.id}")
        assert asked[1] != learned.body


def test_plain_letters_are_for_turkish_mail_only() -> None:
    """A German ü is no u; the mark changes with the text."""
    assert KINDS["plain_letters"](mail("für Grün", language="de"), Random(0)) is None
    found = KINDS["plain_letters"](mail("Sipariş Çarşamba gelsin", ("deadline", "Çarşamba"), language="tr"), Random(0))
    assert found is not None
    assert found.body == "Siparis Carsamba gelsin"
    assert found.entities[0].text == "Carsamba"


@pytest.mark.parametrize(
    ("kind", "text", "shape"),
    [
        ("po_number", "PO-2026-0417", r"PO-2026-0[1-9]{3}"),
        ("spa_code", "CAS-091284-B0C6Q4", r"CAS-0[1-9]{5}-[A-Z0-9]{6}"),
        ("amount", "$12,400.00", r"\$[1-9]{2},[1-9]00\.00"),
        ("amount", "1.250,00 TL", r"[1-9]\.[1-9]{2}0,00 TL"),
        ("product_sku", "C9300-48P-A", r"C[1-9]{2}00-[1-9]{2}P-A"),
    ],
)
def test_a_substitute_has_the_same_shape(kind: str, text: str, shape: str) -> None:
    """Digits for digits; years, zeros and letters stay."""
    found = {same_shape(EntityMark(type=kind, text=text), Random(seed)) for seed in range(20)}
    assert len(found) > 5
    assert all(re.fullmatch(shape, one) for one in found)


def test_a_number_changes_in_subject_body_and_mark_alike() -> None:
    """Also in the name of an attachment."""
    row = mail("see po_45001234.pdf for 45001234 please", ("po_number", "45001234"), subject="PO 45001234")
    found = substituted(row, Random(1))
    fresh = found.entities[0].text
    assert fresh != "45001234"
    assert found.subject == f"PO {fresh}"
    assert found.body == f"see po_{fresh}.pdf for {fresh} please"


@pytest.mark.parametrize(
    ("body", "marks"),
    [
        ("2 units in 2 days", [("quantity", "2")]),  # which of the two is not known
        ("send CDW856 now", [("edi_ref", "CDW856")]),  # the number says what kind of document it is
        ("by 14.03.2026", [("deadline", "14.03.2026")]),
        ("INV-77120 and 77120", [("invoice_number", "INV-77120"), ("po_number", "77120")]),
    ],
)
def test_what_is_not_safe_is_not_substituted(body: str, marks: list[tuple[str, str]]) -> None:
    """Short numbers that stand twice, kinds of document, dates, marks inside marks."""
    assert substituted(mail(body, *marks), Random(1)).body == body


def test_an_id_names_origin_and_kind() -> None:
    """The author stays, so that the split by author holds."""
    found = augmented(mail(LETTER), ["typos"], Random(1))
    assert found is not None
    kind, row = found
    assert (kind, row.id, row.author) == ("typos", "ann-1+typos", "ann")


def test_a_kind_that_has_nothing_to_change_is_passed_over() -> None:
    """English has no Turkish letters to strip: the other kind is taken; alone it gives nothing."""
    row = mail("a b c", language="en")
    assert augmented(row, ["plain_letters", "quoting"], Random(0)) is not None
    assert augmented(row, ["plain_letters"], Random(0)) is None
