"""Where people are reached: email addresses, and street addresses in English and Turkish."""

import re
from collections.abc import Iterator

from mailweir.models.text.finds import entity_words
from mailweir.services.feedback.redact.finds import APART, Find

__all__ = ["find_emails", "find_streets"]

# Bounded, and begun only where no character of an address stands before: linear.
_EMAIL = re.compile(APART + r"(?<![\w.+%'-])[\w.+%'-]{1,128}@[\w-]++(?:\.[\w-]++)++")
_ROLES = frozenset(entity_words()["addresses"]["roles"])
_LONGEST_CODE = 2  # letters beside a role that name no person: `sales.uk@`
_WORDS = re.compile(r"[^\W\d_]+")

_EN_WORD = r"[A-Z][\w'’.-]{0,24}"
_EN_KIND = (
    r"(?:Street|Str|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Court|Ct|Close|Crescent|Cres|Terrace|Place|Pl|Way|Gardens|Gdns|"
    r"Square|Sq|Boulevard|Blvd|Parkway|Pkwy|Highway|Hwy|Row|Mews|Grove|Hill|Walk)"
)
_EN_CODE = r"(?:[A-Z]{2} )?\d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}"
_ENGLISH = re.compile(
    APART + r"(?<![\w.,$€£#/-])(?:(?:Flat|Apt|Apartment|Unit|Suite) \d{1,4}[A-Za-z]?,? )?"
    rf"\d{{1,5}}[A-Za-z]?(?:-\d{{1,5}})? (?:{_EN_WORD} ){{1,4}}{_EN_KIND}(?!\w)\.?"
    r"(?:,? (?:Flat|Apt\.?|Apartment|Unit|Suite|Floor|Fl\.?|#) ?#?\w{1,5}(?!\w))?"
    rf"(?:(?:,?\s{{1,2}}{_EN_WORD}){{0,5}},?\s{{1,2}}(?:{_EN_CODE})(?!\w))?"
)

_TR_UPPER = "A-ZÇĞİÖŞÜ"
_TR_KIND = r"(?i:mahallesi|mah\.?|mh\.|caddesi|cad\.?|cd\.|soka[kğ][ıi]?|sok\.?|sk\.|bulvar[ıi]|bulv?\.|blv\.)(?!\w)"
# Atomic, and a name is no mark: each place is tried once. Atomic groups, not possessive counts: Python before 3.11.5 loses matches of those.
_TR_STREET = (
    rf"(?>(?:(?!{_TR_KIND})[{_TR_UPPER}\d][\w'’.-]{{0,24}}+ ){{0,3}}?(?!{_TR_KIND})[\w'’.-]{{1,25}}+,? {_TR_KIND})"
)
_TR_HOUSE = r"(?i:no ?[:.]? ?\d{1,5}(?: ?[/-] ?\d{1,4})?(?:[A-Za-z](?!\w))?|d(?:aire)? ?[:.]? ?\d{1,4}|kat ?[:.]? ?\d{1,3}|[A-Z\d]{1,3} blok|[\w]{1,25} (?:apt\.?|apartmanı|sitesi))(?!\w)"
_TR_TOWN = rf"(?:\d{{5}} )?(?:[{_TR_UPPER}]\w{{1,24}} ){{0,2}}[{_TR_UPPER}]\w{{1,24}} ?[/-] ?[{_TR_UPPER}]\w{{1,24}}"
_GAP = r"[\s,/–-]{1,3}"
_TURKISH = re.compile(
    rf"{APART}(?<![\w.-]){_TR_STREET}(?>(?:{_GAP}{_TR_STREET}){{0,3}})(?>(?:{_GAP}{_TR_HOUSE}){{1,5}})(?:{_GAP}{_TR_TOWN})?"
)


def find_emails(text: str) -> Iterator[Find]:
    """Email addresses of persons. A role's address (`sales@`) names a desk, and is what the model learns to route by."""
    for match in _EMAIL.finditer(text):
        words = _WORDS.findall(match.group().partition("@")[0].lower())
        named = [word for word in words if word not in _ROLES]
        if len(named) == len(words) or any(len(word) > _LONGEST_CODE for word in named):
            yield Find("email", match.start(), match.end())


def find_streets(text: str) -> Iterator[Find]:
    """Street addresses with a house number, in the forms of English and of Turkish mail. Others are not found."""
    for pattern in (_ENGLISH, _TURKISH):
        for match in pattern.finditer(text):
            yield Find("address", match.start(), match.end())
