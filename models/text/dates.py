"""Where a date or a time begins and ends: neighbours that make one expression, such as `Friday, 8 August at 17:00`, in five languages.

It only says where; whether something is wanted by then is the model's business. What belongs to an expression was counted over the
deadlines that annotators marked: `the` of "the 27th" and `this`, `next`, `bu` do, "gününe" behind a Turkish weekday does not.
"""

import re
from collections.abc import Iterable, Iterator

from mailweir.models.text.finds import entity_words

_WORDS = entity_words()["dates"]


def _any(words: Iterable[str]) -> str:
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


_MONTHS = _any(_WORDS["months"])
_NUMERIC = r"\d{4}-\d{2}-\d{2}|\d{1,2}[./]\d{1,2}[./]\d{2,4}|\d{1,2}-\d{1,2}-\d{4}|\d{1,2}[./]\d{1,2}(?![\d%])"
_WRITTEN = (
    rf"(?:the (?=\d{{1,2}}\w\w of ))?\d{{1,2}}(?:st|nd|rd|th|\.|er)?(?: of| de)? (?:{_MONTHS})(?!\w)(?:,?(?: de)? \d{{4}})?"
    rf"|(?:{_MONTHS})\.? \d{{1,2}}(?:st|nd|rd|th)?(?:,? \d{{4}})?"
)
_ORDINAL = r"(?:the )?\d{1,2}(?:st|nd|rd|th)"
_EDGE = rf"(?:the )?(?:end|close|middle|beginning) of (?:the |this |next )?(?:{_any([*_WORDS['spans'], *_WORDS['weekdays']])}|{_MONTHS})"
_CLOCK = (
    r"\d{1,2}[:.]\d{2}(?: ?[ap]\.?m\b\.?| ?uhr|h)?|\d{1,2} ?(?:[ap]m|uhr|h)|\d{1,2} ?[ap]\.m\."
    r"|\d{1,2}h\d{2}|\d{1,2} o['’]clock"
)
_DAY = rf"(?:(?:{_any(_WORDS['this'])}) )?(?:{_any([*_WORDS['weekdays'], *_WORDS['days'], *_WORDS['parts']])})"
_ATOM = rf"(?:{_EDGE}|{_WRITTEN}|{_ORDINAL}|{_NUMERIC}|{_CLOCK}|{_DAY})(?!\w)"
_BETWEEN = rf"(?:,? (?:(?:{_any(_WORDS['between'])}) )?|, | \()"
# An hour that is a number alone counts after a day and a word that says so, a zone after whatever there is.
_HOUR = rf"(?: (?:{_any(_WORDS['hours'])}) \d{{1,2}}(?![\w%]|[:.,/-]\d))"
_ZONE = rf"(?: (?:(?-i:[A-Z][^\W\d_]{{1,14}}|your|our|my|local) time|{_any(_WORDS['zones'])})(?!\w))"
# At most six atoms, each of bounded length, each of which must begin a word: linear.
_DATE = re.compile(rf"(?<![\w./-]){_ATOM}(?:{_BETWEEN}{_ATOM}){{0,5}}{_HOUR}?{_ZONE}?", re.IGNORECASE)
_LOOSE = re.compile(rf"\s(?:{_any(_WORDS['loose'])})$", re.IGNORECASE)
_REACH = 60  # characters around a find in which its expression may stand


def find_dates(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Ranges of the longest expressions in `text`, or in the part of it."""
    yield from (match.span() for match in _DATE.finditer(text, start, len(text) if end is None else end))


def whole_date(text: str, start: int, end: int) -> tuple[int, int]:
    """The range grown to the ends of the expressions that it cuts, without what only inflects the word before it."""
    for first, last in find_dates(text, max(0, start - _REACH), min(len(text), end + _REACH)):
        if first < end and start < last:
            start, end = min(start, first), max(end, last)
    loose = _LOOSE.search(text, start, end)
    return start, loose.start() if loose else end
