"""Shapes that say what they are: money, counts with their unit, role addresses. Every pattern is bounded, so linear."""

import re
from collections.abc import Iterator

from mailweir.models.text.finds import Find, entity_words

# At most 15 digits: a number starts where no digit, point or comma stands before it, so a long run is tried once.
_NUMBER = r"\d{1,3}(?:[.,\u00a0 ']\d{2,3}){1,4}(?:[.,]\d{1,2})?(?!\d)|\d{1,12}(?:[.,]\d{1,2})?(?!\d)"
_SIGN = r"(?:[A-Z]{1,3})?[$€£¥₺₹₦₱₩₪₽]"
_CODE = (
    r"EUR|USD|GBP|TRY|CHF|NOK|SEK|DKK|PLN|CZK|HUF|RON|INR|AED|SAR|QAR|KWD|CAD|AUD|NZD|ZAR|JPY|CNY|HKD|SGD|MYR|THB|IDR|PHP|"
    r"KES|NGN|GHS|EGP|MAD|BRL|MXN|ARS|COP|CLP|ILS|KRW|TWD|VND|PKR|BDT|LKR|UGX|TZS|ISK|BGN"
)
_LOCAL = r"Rs\.?|RM|R\$|R|KSh|Ksh|Rp|kr\.?"
_WORDS = r"TL|euros?|Euro|lira|dolar|dollars|pounds|Kč|zł|Ft|kr|lei"
_SCALE = r"(?: ?(?:bin|milyon|million|mio|k|m)\b)?"
_AMOUNT = re.compile(
    rf"(?<![\w.,$€£])(?:(?:{_SIGN}|(?:{_CODE}|{_LOCAL})(?=[ \u00a0\d])) ?(?:{_NUMBER}){_SCALE}"
    rf"|(?:{_NUMBER}){_SCALE} ?(?:[€$£₺](?!\d)|(?:{_CODE}|{_WORDS})(?!\w)))"
)

_UNITS = "|".join(sorted(map(re.escape, entity_words()["quantities"]["units"]), key=len, reverse=True))
_QUANTITY = re.compile(
    rf"(?<![\w.,/$€£:-])(\d{{1,3}}(?:[.,]\d{{3}}){{1,2}}|\d{{1,6}}) ?(?:(?:{_UNITS})(?!\w)|[x\u00d7] ?(?=[A-Z]{{1,5}}[-\d]))",
    re.IGNORECASE,
)

_ADDRESS = re.compile(r"(?<![\w.+%-])([A-Za-z0-9._-]{1,64})@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}(?![\w@])")
_ROLES = frozenset(entity_words()["addresses"]["roles"])
_PARTS = re.compile(r"[a-z]+")

SHAPE_TYPES = frozenset({"amount", "quantity", "team_mailbox"})
"""Entity types that `find_shapes` can find."""


def find_shapes(text: str) -> Iterator[Find]:
    """Amounts, quantities and role addresses of `text`."""
    for start, end in find_amounts(text, 0, len(text)):
        yield Find("amount/currency", start, end)
    for match in _QUANTITY.finditer(text):
        yield Find("quantity/unit", match.start(1), match.end(1))
    for match in _ADDRESS.finditer(text):
        if not _ROLES.isdisjoint(_PARTS.findall(match.group(1).lower())):
            yield Find("team_mailbox/role", match.start(), match.end())


def find_amounts(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where money with its currency stands, between `start` and `end`."""
    yield from (match.span() for match in _AMOUNT.finditer(text, start, end))
