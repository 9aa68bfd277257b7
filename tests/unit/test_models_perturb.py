"""Ways to write the same mail otherwise: each by hand, and entities left as they stand."""

from __future__ import annotations

import re
from random import Random

import pytest

from mailweir.models.text.model_input import compose_fields
from mailweir.models.text.perturb import PERTURBATIONS, between, perturb

SUBJECT = "Invoice INV-20311 is wrong"
BODY = (
    "Hello,\n\nplease correct invoice INV-20311, it says 1.250,00 TL.\nWe paid on Friday.\n\nTeşekkürler, Ayşe Yılmaz"
)
ENTITIES = ("INV-20311", "1.250,00 TL", "Friday")
LETTER = (
    "Hello, we would like to move the delivery of the remaining pallets to another warehouse because the roof leaks\n"
    * 8
)


def change(name: str, text: str, seed: int) -> str:
    return PERTURBATIONS[name].change(text, Random(seed))


def text_of(subject: str, body: str) -> str:
    return compose_fields(subject, "a@example.org", "finance", body, ()).text


@pytest.mark.parametrize("name", list(PERTURBATIONS))
def test_a_way_of_writing_keeps_the_entities(name: str) -> None:
    """Each way changes the mail, the same for the same seed, and every annotated text still stands in it."""
    body = "\n\n".join([BODY] * 9)
    first, second = (perturb(name, SUBJECT, body, ENTITIES, 4) for _ in range(2))
    assert first == second
    assert first != (SUBJECT, body)
    assert all(entity in "\n".join(first) for entity in ENTITIES)
    assert PERTURBATIONS[name].change("", Random(1)).count(" ") < 60


@pytest.mark.parametrize("name", list(PERTURBATIONS))
def test_an_empty_mail_stays_empty(name: str) -> None:
    """Nothing is made up where nothing was written."""
    assert perturb(name, "", "", (), 4) == ("", "")


def test_typos_are_few_and_of_one_letter() -> None:
    """About one word of seventeen, and no word is two letters longer or shorter."""
    text = " ".join(["delivery", "tomorrow", "morning", "warehouse"] * 250)
    words, wrong = text.split(), perturb("typos", "", text, (), 1)[1].split()
    changed = [(a, b) for a, b in zip(words, wrong, strict=True) if a != b]
    assert 35 < len(changed) < 90
    assert all(abs(len(a) - len(b)) <= 1 for a, b in changed)


def test_hidden_and_lookalike_writing_comes_back() -> None:
    """What the two ways hide, reading restores to the letter."""
    for name in ("zero_width", "lookalikes"):
        subject, body = perturb(name, SUBJECT, BODY, (), 3)
        assert (subject, body) != (SUBJECT, BODY)
        assert text_of(subject, body) == text_of(SUBJECT, BODY)


def test_typos_are_few_and_inside_words() -> None:
    """As many words, most of them untouched, each with its first letter."""
    before, after = LETTER.split(), change("typos", LETTER, 1).split()
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert 2 <= len(changed) <= 0.15 * len(before)
    assert all(a[0] == b[0] and abs(len(a) - len(b)) <= 1 for a, b in changed)


def test_quoting_puts_an_arrow_before_each_line() -> None:
    """The lines themselves stay."""
    assert {change("quoting", "one\ntwo", seed) for seed in range(20)} == {"> one\n> two", ">one\n>two", "| one\n| two"}


def test_remains_of_html_add_and_take_nothing_away() -> None:
    """Without tags and named characters the words are what they were, and no digit came in."""
    noisy = change("html", LETTER, 2)
    assert noisy.count("<br") + noisy.count("</p>") >= 2
    assert "&nbsp;" in noisy
    assert re.sub(r"<[^>]*>|&\w+;", " ", noisy).split() == LETTER.split()
    assert not re.search(r"\d", noisy)


def test_plain_letters_are_those_without_signs() -> None:
    """Both cases; the dotted and the dotless i."""
    assert change("plain_letters", "Iğdır'da İSTANBUL çöp şüphe", 0) == "Igdir'da ISTANBUL cop suphe"


def test_the_other_case_is_that_of_the_language() -> None:
    """A Turkish i has its dot in capitals too, and none is left hanging over a small letter."""
    assert change("capitals", "Sipariş gecikti", 0) == "SİPARİŞ GECİKTİ"
    assert change("capitals", "the bill", 0) == "THE BILL"
    assert change("small_letters", "İZMİR", 0) == "izmir"


def test_letters_are_made_plain_in_turkish_mail_only() -> None:
    """The ü of other languages is no Turkish one; a single Turkish letter anywhere in the mail tells."""
    assert perturb("plain_letters", "Prüfung", "für Grün", (), 1) == ("Prüfung", "für Grün")
    assert perturb("plain_letters", "ürün", "sipariş", (), 1) == ("urun", "siparis")


def test_remains_of_html_are_in_the_body_and_outside_entities() -> None:
    """A subject has none, and an amount of two words stays in one piece."""
    body = "\n".join(["we paid 1.250,00 TL to them on time"] * 60)
    subject, noisy = perturb("html", "one two three four " * 50, body, ["1.250,00 TL"], 3)
    assert subject == "one two three four " * 50
    assert noisy.count("1.250,00 TL") == 60
    assert noisy != body


def test_what_is_kept_may_be_broken_over_lines_or_inside_a_word() -> None:
    """Blanks are alike; what stands nowhere as a whole is kept where it is a part."""
    assert between("pay 40\n  EUR for 25kg", ["40 EUR", "25"], lambda text, _: text.upper(), Random(0)) == (
        "PAY 40\n  EUR FOR 25KG"
    )
    assert between("ab 12ab", ["ab"], lambda text, _: text.upper(), Random(0)) == "ab 12AB"
