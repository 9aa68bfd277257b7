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
        ("quantity", "1", "20 Ekim    1.680 adet", ["1.680"]),
        ("quantity", "2", "part    24\n", ["24"]),
        ("product_sku", "HG-NIT-BL", "250 x HG-NIT-BL-S, blue", ["HG-NIT-BL-S"]),
        ("product_sku", "gloves", "250 gloves", []),
        ("order_number", "HG-NIT-BL", "order HG-NIT-BL-S", []),
        ("deadline", "28.02", "by 28.02.2026.", ["28.02.2026"]),
        ("deadline", "8 August", "before Friday, 8 August at 17:00, please", ["Friday, 8 August at 17:00"]),
        ("deadline", "17:00", "14 Mart Cuma günü saat 17:00'ye kadar", ["14 Mart Cuma günü saat 17:00"]),
        ("deadline", "30", "bis 30. April 2026", ["30. April 2026"]),
        ("deadline", "next week", "by next week", ["next week"]),
        ("deadline", "27th", "in by the 27th, please", ["the 27th"]),
        ("deadline", "1st of July", "half by the 1st of July to hold it", ["the 1st of July"]),
        ("deadline", "end", "before the end of the month, we", ["the end of the month"]),
        ("deadline", "Wednesday", "by next Wednesday.", ["next Wednesday"]),
        ("deadline", "11", "collects tomorrow at 11 and", ["tomorrow at 11"]),
        ("deadline", "11", "today at 11:20", ["today at 11:20"]),
        ("deadline", "10", "Set it out by tomorrow at 10 a.m., or", ["tomorrow at 10 a.m."]),
        ("deadline", "12:00", "by tomorrow at 12:00 Nairobi time. Without", ["tomorrow at 12:00 Nairobi time"]),
        ("deadline", "Friday", "by Friday this time", ["Friday"]),
        ("deadline", "akşam", "bu akşam 21.00'e kadar", ["bu akşam 21.00"]),
        ("deadline", "13 Haziran Cuma gününe", "13 Haziran Cuma gününe kadar", ["13 Haziran Cuma"]),
        ("deadline", "cuma", "cuma günü mesai bitimine kadar", ["cuma günü mesai bitimine"]),
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
