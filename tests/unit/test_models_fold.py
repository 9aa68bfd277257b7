"""Writing that looks the same is the same for the model, and entities are still found where they stand; ways to perturb a mail."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailweir.models.text.fold import calm, fold, is_shouted
from mailweir.models.text.model_input import compose_fields
from mailweir.models.text.perturb import PERTURBATIONS, perturb
from mailweir.models.text.spans import Span

SUBJECT = "Invoice INV-20311 is wrong"
BODY = (
    "Hello,\n\nplease correct invoice INV-20311, it says 1.250,00 TL.\nWe paid on Friday.\n\nTeşekkürler, Ayşe Yılmaz"
)
ENTITIES = ("INV-20311", "1.250,00 TL", "Friday")


def text_of(subject: str, body: str) -> str:
    return compose_fields(subject, "a@example.org", "finance", body, ()).text


def test_characters_without_width_are_not_there() -> None:
    """Zero-width spaces, joiners, soft hyphens and marks of direction inside words: the model sees the words."""
    hidden = "in\u200bvo\u00adice is \u202ewr\u2060ong\ufeff \u200b today"
    assert text_of("", hidden) == text_of("", "invoice is wrong today")


def test_lookalike_letters_in_latin_words_are_latin() -> None:
    """A Cyrillic o in `Microsoft` is an o; a word that is Cyrillic throughout stays one, as does Greek."""
    assert fold("Micrоsоft pаsswоrd") == "Microsoft password"
    assert fold("Добрый день, сор") == "Добрый день, сор"
    assert fold("рау the bіll") == "pay the bill"
    assert fold("παραγγελία") == "παραγγελία"


def test_a_mail_in_capitals_is_read_in_small_letters() -> None:
    """Codes, addresses and EDI segments stay; Turkish capitals become the Turkish small letters."""
    english = "PLEASE SHIP ORDER XHU-00001 AND CAS-091284-B0C6Q4 TODAY, MAIL SALES4460@SHOP.EXAMPLE. THANK YOU"
    assert is_shouted(english)
    assert (
        calm(english)
        == "please ship order XHU-00001 and CAS-091284-B0C6Q4 today, mail SALES4460@SHOP.EXAMPLE. thank you"
    )
    assert calm("SİPARİŞİM NEREDE KALDI") == "siparişim nerede kaldı"
    assert calm("UNH+1+ORDERS DTM*137*20260302") == "UNH+1+ORDERS DTM*137*20260302"
    assert not is_shouted("URGENT: please look at XHU-00001 today, nobody can work")
    assert "urgent" not in text_of("URGENT", "please look at it today, nobody can work")


@given(st.text(alphabet=st.sampled_from("aBİIıiğоАß \n\u200b\u00ad-1*é\u0301"), max_size=60))
def test_letters_keep_their_place(text: str) -> None:
    """Whatever is folded has as many characters as before."""
    assert len(fold(text)) == len(calm(text)) == len(text)
    given_input = compose_fields("", "", "", text, ())
    assert len(given_input.written) == len(given_input.text)


@given(st.text(alphabet=st.sampled_from("ab \n\t\u200b\u00ad\u2060"), max_size=40))
def test_places_in_the_text_are_places_in_the_mail(before: str) -> None:
    """A find behind any mixture of blanks and hidden characters is told where it stands in the body."""
    body = f"{before} INV\u200b-77 paid"
    given_input = compose_fields("", "", "", body, ())
    start = given_input.text.index("INV-77")
    ((field, span),) = given_input.locate([Span("invoice_number", start, start + 6, 0.9)])
    assert (field, body[span.start : span.end]) == ("body", "INV\u200b-77")


@pytest.mark.parametrize("name", list(PERTURBATIONS))
def test_a_way_of_writing_keeps_the_entities(name: str) -> None:
    """Each way changes the mail, the same for the same seed, and every annotated text still stands in it."""
    first, second = (perturb(name, SUBJECT, BODY, ENTITIES, 4) for _ in range(2))
    assert first == second
    assert first != (SUBJECT, BODY)
    assert all(entity in "\n".join(first) for entity in ENTITIES)
    assert PERTURBATIONS[name].change("", Random(1)).count(" ") < 60


@pytest.mark.parametrize("name", list(PERTURBATIONS))
def test_an_empty_mail_stays_empty(name: str) -> None:
    """Nothing is made up where nothing was written."""
    assert perturb(name, "", "", (), 4) == ("", "")


def test_typos_are_few_and_of_one_letter() -> None:
    """About one word of twelve, and no word is two letters longer or shorter."""
    text = " ".join(["delivery", "tomorrow", "morning", "warehouse"] * 250)
    words, wrong = text.split(), perturb("typos", "", text, (), 1)[1].split()
    changed = [(a, b) for a, b in zip(words, wrong, strict=True) if a != b]
    assert 50 < len(changed) < 120
    assert all(abs(len(a) - len(b)) <= 1 for a, b in changed)


def test_hidden_and_lookalike_writing_comes_back() -> None:
    """What the two ways hide, reading restores to the letter."""
    for name in ("zero_width", "lookalikes"):
        subject, body = perturb(name, SUBJECT, BODY, (), 3)
        assert (subject, body) != (SUBJECT, BODY)
        assert text_of(subject, body) == text_of(SUBJECT, BODY)
