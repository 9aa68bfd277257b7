"""What a tagger finds is made of tokens, what a mail holds of words: finds are brought to whole words and checked by type."""

import re
from collections.abc import Iterator

from mailweir.models.text.dates import whole_date
from mailweir.models.text.shapes import find_amounts
from mailweir.models.text.spans import Span, trim

_JOINTS = "-/._@:"  # inside a word they belong to it: `SO/25-774`, `28.02.2025`, `10:00`, `sales4460@firm.example`
_LONGEST = 80  # characters by which a find may grow: longer runs are no codes
_COLUMN = re.compile(r"[ \u00a0]{2,}|\t|\n")  # what stands beyond it is the next column of a table, or the next line
_QUANTITY = re.compile(r"\d{1,3}(?:[.,\u00a0 ]\d{3})+|\d+(?:[.,]\d+)?")
_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_LETTERS_ONLY = re.compile(r"[A-Z]{1,8}(?:-[A-Z]{1,10}){1,4}")  # `HG-NIT-BL-S`: one part number in twenty has no digit
_HALF_OF_DAY = re.compile(r"[ap]\.m\.", re.IGNORECASE)  # its last point belongs to it
_MONEY = re.compile(r"[^\W\d_]|[$€£¥₺₹₦₱₩₪₽]")  # a currency is a sign or a word


def mended(span: Span, text: str) -> Iterator[Span]:
    """The find as it stands in `text`: cut words made whole, columns of a table taken apart, none if its type cannot be so.

    The tagger's tokens are pieces of words: of `SO-3390518` it may have seen the first half only.
    """
    if span.type == "amount":
        yield from _amounts(span, text)
        return
    if span.type == "quantity":
        yield from _quantity(span, text)
        return
    gap = _COLUMN.search(text, span.start, span.end)
    start, end = whole_words(text, span.start, gap.start() if gap and gap.start() > span.start else span.end)
    if span.type == "deadline":
        start, end = trim(text, *whole_date(text, start, end))
        end += bool(_HALF_OF_DAY.match(text, max(start, end - 3)))
    if start < end and _possible(span.type, text[start:end]):
        yield Span(span.type, start, end, span.probability)


def whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    """The range grown to the ends of the words that it cuts; a joint counts where a letter or digit is on its other side."""
    first, last = max(0, start - _LONGEST), min(len(text), end + _LONGEST)
    while start > first and _joined(text, start - 1, -1):
        start -= 1
    while end < last and _joined(text, end, 1):
        end += 1
    return start, end


def _joined(text: str, at: int, step: int) -> bool:
    if text[at].isalnum():
        return text[at - step].isalnum() or text[at - step] in _JOINTS
    beyond = at + step
    return text[at] in _JOINTS and 0 <= beyond < len(text) and text[beyond].isalnum() and text[at - step].isalnum()


def _amounts(span: Span, text: str) -> Iterator[Span]:
    first, last = max(0, span.start - _LONGEST), min(len(text), span.end + _LONGEST)
    inside = [(a, b) for a, b in find_amounts(text, first, last) if span.start < b and a < span.end]
    if len(inside) > 1:
        yield from (Span(span.type, a, b, span.probability) for a, b in inside)
        return
    written = text[span.start : span.end]
    if inside and inside[0][0] <= span.start and span.end <= inside[0][1]:
        yield Span(span.type, *inside[0], span.probability)
    elif any(c.isdigit() for c in written) and _MONEY.search(written):
        yield span


def _quantity(span: Span, text: str) -> Iterator[Span]:
    inside = _QUANTITY.search(text, span.start, span.end)
    match = _QUANTITY.match(text, inside.start()) if inside else None  # the tagger's last token may cut a number
    if match and not _inside_a_code(text, *match.span()):
        yield Span(span.type, *match.span(), span.probability)


def _inside_a_code(text: str, start: int, end: int) -> bool:
    before, after = text[max(0, start - 1) : start], text[end : end + 1]
    return before.isalnum() or before in ("-", "/") or after.isdigit() or after == "/"


def _possible(kind: str, written: str) -> bool:
    if kind == "team_mailbox":
        return _ADDRESS.fullmatch(written) is not None
    if kind == "product_sku" and _LETTERS_ONLY.fullmatch(written):
        return True
    return kind == "deadline" or any(character.isdigit() for character in written)
