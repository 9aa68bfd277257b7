"""Phone numbers: written with a plus, behind a word such as `Tel`, or valid where the mail's language is spoken."""

import re
from collections.abc import Iterator

import phonenumbers

from mailweir.services.feedback.redact.finds import Find, is_part_of_code, labelled
from mailweir.services.feedback.redact.runs import Run, Stretch

__all__ = ["PhoneFinder"]

_REGIONS = {
    "en": ("US", "GB", "IE", "AU", "IN", "ZA"),
    "tr": ("TR",),
    "de": ("DE", "AT", "CH"),
    "fr": ("FR", "BE", "CH"),
    "es": ("ES", "MX", "AR"),
    "it": ("IT",),
    "nl": ("NL", "BE"),
    "pl": ("PL",),
}
_ANYWHERE = ("US", "GB", "TR", "DE", "FR", "ES", "IT", "NL")  # a language that we have no countries for

# Groups of a number that is written without the trunk zero; other groupings are codes sooner than phones.
_SHAPES = {
    "en": frozenset({(3, 3, 4), (1, 3, 3, 4), (4, 3, 3)}),
    "tr": frozenset({(3, 3, 2, 2), (3, 3, 4)}),
    "es": frozenset({(3, 3, 3), (3, 2, 2, 2), (2, 3, 2, 2)}),
    "it": frozenset({(3, 3, 4), (3, 7)}),
    "pl": frozenset({(3, 3, 3), (2, 3, 2, 2)}),
}

_LABEL = re.compile(
    r"(?:(?<![^\W_])(?:tele(?:phone|fon|foon)?|tel|tlf|phone|ph|mobile?|mob|cell|gsm|cep|telefonum(?:uz)?|dahili|fax|faks|hotline|"
    r"whats ?app|landline|call(?: me| us)?|text(?: me)?|ring(?: me)?|handy|mobil|durchwahl|telefonnummer|tél|móvil)"
    r"\.?(?: ?(?:no|nr|number|num|numarası|on|at|numaram|me|us|line|hattı)\b)?\.?"
    r"|(?:^|[|,;·•/]) ?[TMFPD](?=[.:| \u00a0]))[\s.:|()=-]{0,4}(?:is )?\+?$",
    re.IGNORECASE | re.MULTILINE,
)
_FEWEST, _MOST = 7, 15  # digits of a number (E.164 has at most 15)
_FEWEST_UNLABELLED = 9
_FEWEST_WITH_PLUS = 8
_ASKED_AT_MOST = 2_000  # questions to the library for one text, about 0.1 s; mails of people need a handful


class PhoneFinder:
    """Finds the phone numbers of one text.

    The library is asked a bounded number of times. What looks like a phone number beyond that is taken for one: a text with
    so many candidates is a list of numbers or an attack, and neither should keep its numbers.
    """

    def __init__(self, language: str) -> None:
        self._regions = _REGIONS.get(language, _ANYWHERE)
        self._shapes = _SHAPES.get(language, frozenset())
        self._asked = 0

    def find(self, run: Run) -> Iterator[Find]:
        """The phone numbers of one run of digits."""
        group = 0
        while group < len(run.places):
            found = self._first(run.text, list(run.stretches(group, _FEWEST, _MOST)))
            if found:
                yield Find("phone", _opening(run.text, found.start), found.end)
            group += len(found.groups) if found else 1

    def _first(self, text: str, stretches: list[Stretch]) -> Stretch | None:
        """The one that is a phone number: with a plus or a label the longest valid one, or the longest at all."""
        candidates = [s for s in stretches if not is_part_of_code(text, s.start, s.end) and not _has_date(s)]
        if not candidates:
            return None
        start = candidates[0].start
        plus = text[start - 1 : start] == "+"
        if plus or labelled(text, _opening(text, start), _LABEL):
            long = [s for s in candidates if not plus or len(s.digits) >= _FEWEST_WITH_PLUS]
            valid = (s for s in long if self._is_valid_anywhere(s.digits, plus=plus))
            return next(valid, long[0] if long else None)
        return next((s for s in candidates if self._is_national(text, s)), None)

    def _is_valid_anywhere(self, digits: str, *, plus: bool) -> bool:
        if plus:
            return self._is_valid(f"+{digits}", None)
        return any(self._is_valid(digits, region) for region in self._regions)

    def _is_national(self, text: str, stretch: Stretch) -> bool:
        """Written as people write phone numbers, and valid in a country of the language."""
        digits = stretch.digits
        if len(digits) < _FEWEST_UNLABELLED or stretch.is_cut:
            return False
        bracket = text[stretch.start - 1 : stretch.start] == "("
        if not (digits.startswith("0") or bracket or stretch.sizes in self._shapes):
            return False  # ten bare digits are an order sooner than a phone
        if digits.startswith("00"):
            return self._is_valid(f"+{digits[2:]}", None)
        return self._is_valid_anywhere(digits, plus=False)

    def _is_valid(self, number: str, region: str | None) -> bool:
        self._asked += 1
        if self._asked > _ASKED_AT_MOST:
            return True
        try:
            return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
        except phonenumbers.NumberParseException:
            return False


def _opening(text: str, start: int) -> int:
    """Where the number begins with its plus and bracket."""
    while start > 0 and text[start - 1] in "+(":
        start -= 1
    return start


def _has_date(stretch: Stretch) -> bool:
    """True where three groups are a date, as in `12.03.2026 14`."""
    sizes, joints = stretch.sizes, stretch.joints
    return any(
        joints[at] == joints[at + 1] and joints[at] in "./-" and _are_date(sizes[at : at + 3])
        for at in range(len(joints) - 1)
    )


def _are_date(sizes: tuple[int, ...]) -> bool:
    first, second, third = sizes
    return second <= 2 and ((first <= 2 and third in (2, 4)) or (first == 4 and third <= 2))
