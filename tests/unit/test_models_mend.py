"""Finds of the tagger brought to whole words, dates and amounts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailweir.models.text.dates import find_dates
from mailweir.models.text.mend import mended
from mailweir.models.text.spans import Span


def mend(kind: str, found: str, text: str) -> list[str]:
    """What becomes of the find `found` in `text`."""
    start = text.index(found)
    return [text[s.start : s.end] for s in mended(Span(kind, start, start + len(found), 0.9), text)]


@pytest.mark.parametrize(
    ("kind", "found", "text", "wanted"),
    [
        ("order_number", "TS-339", "your TS-3390518.", ["TS-3390518"]),
        ("order_number", "SO/25", "SO/25-774, please", ["SO/25-774"]),
        ("order_number", "abc", "the abc order", []),
        ("product_sku", "OPT-SFP10-SR    10G", "12 OPT-SFP10-SR    10G optics", ["OPT-SFP10-SR"]),
        ("team_mailbox", "retour@kampeer", "to retour@kampeerhuis.nl.", ["retour@kampeerhuis.nl"]),
        ("team_mailbox", "desk", "the desk said", []),
        ("amount", "96,75 EUR      1.548,00 EUR", "a  96,75 EUR      1.548,00 EUR", ["96,75 EUR", "1.548,00 EUR"]),
        ("amount", "1.548", "sum 1.548,00 EUR", ["1.548,00 EUR"]),
        ("amount", "12,400", "12,400 pieces", []),
        ("quantity", "100 units", "for 100 units", ["100"]),
        ("quantity", "7", "part HB-7741", []),
        ("quantity", "40", "40x XHU-1", ["40"]),
        ("deadline", "28.02", "by 28.02.2026.", ["28.02.2026"]),
        ("deadline", "8 August", "before Friday, 8 August at 17:00, please", ["Friday, 8 August at 17:00"]),
        ("deadline", "17:00", "14 Mart Cuma günü saat 17:00'ye kadar", ["14 Mart Cuma günü saat 17:00"]),
        ("deadline", "30", "bis 30. April 2026", ["30. April 2026"]),
        ("deadline", "next week", "by next week", ["next week"]),
    ],
)
def test_a_find_becomes_whole(kind: str, found: str, text: str, wanted: list[str]) -> None:
    """Cut words and dates are completed, two amounts taken apart, what its type cannot be is dropped."""
    assert mend(kind, found, text) == wanted


def test_several_finds_of_one_date_are_one() -> None:
    """Both halves of a date grow to the same range."""
    text = "by Friday, 8 August"
    assert mend("deadline", "Friday", text) == mend("deadline", "8 August", text) == ["Friday, 8 August"]


@given(st.text(min_size=1, max_size=200), st.data())
def test_a_find_stays_in_the_text(text: str, data: st.DataObject) -> None:
    """Whatever the text: ranges inside it, not empty, of the same type."""
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    kind = data.draw(st.sampled_from(["amount", "quantity", "deadline", "team_mailbox", "po_number"]))
    for span in mended(Span(kind, start, end, 0.5), text):
        assert 0 <= span.start < span.end <= len(text)
        assert span.type == kind


def test_dates_need_linear_time() -> None:
    """Text made of nothing but beginnings of dates: ten times the text, about ten times the steps, no more."""
    assert len(list(find_dates("1. " * 20_000))) == 0
    assert len(list(find_dates("Monday, " * 6_000))) == 1_000
