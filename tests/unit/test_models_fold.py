"""Writing that looks the same is the same for the model, and entities are still found where they stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailweir.models.text.fold import calm, fold, is_shouted
from mailweir.models.text.model_input import compose_fields
from mailweir.models.text.spans import Span


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


def test_places_are_worked_out_once() -> None:
    """Entities and sentences of a mail share them, and neither can change them for the other."""
    given_input = compose_fields("Hi", "a@example.org", "sales", "one\n\ntwo  three", ())
    assert given_input.origins is given_input.origins
    assert given_input.written is given_input.written
    with pytest.raises(ValueError, match="read-only"):
        given_input.origins[0] = 1
    assert given_input == compose_fields("Hi", "a@example.org", "sales", "one\n\ntwo  three", ())
