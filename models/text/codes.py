"""Business codes: a token's own shape, or the word before it, says what it numbers.

One pattern finds tokens in linear time; everything else looks at one token and the few words before it.
"""

import re
from collections.abc import Iterator

from mailweir.models.text.finds import Find, entity_words

# Runs of letters and digits, joined by single separators. The classes are disjoint, so there is one way to match.
_TOKEN = re.compile(r"(?<![\w@./#&=-])#?[^\W_]+(?:[-/][^\W_]+)*(?![\w@=])")
_WORD = re.compile(r"[^\W\d_]+")
_LONGEST = 40  # characters; longer tokens are hashes and encoded data
_REACH = 48  # characters before a token in which its cue word may stand

# Shapes that need no word beside them, most telling first.
_SHAPES = (
    ("spa_code/shape", re.compile(r"CAS-\d{6}-[A-Z0-9]{6}")),
    ("tracking_number/shape", re.compile(r"1Z[0-9A-Z]{16}|JJ?D\d{9,24}|[A-Z]{2}\d{9,11}[A-Z]{2}")),  # carriers, UPU S10
    ("edi_ref/shape", re.compile(r"[A-Z]{2,5}[89]\d{2}")),
)
# Shapes that hold where neither a prefix nor a word beside them says otherwise.
_BARE = (
    ("ticket_number/hash", re.compile(r"#\d{4,6}")),
    ("po_number/sap", re.compile(r"4[15]\d{8}")),  # the ten digits of a common ERP system
    ("tracking_number/long", re.compile(r"\d{18,24}|\d{3}-\d{8}")),  # parcel labels, air waybills
)
# A part number has letters in two of its segments; with letters in the first alone one in six is something else.
_SKU = re.compile(r"[A-Z0-9]{1,8}(?:-[A-Z0-9]{1,10}){1,4}")

_PREFIXES = {word: kind for kind, words in entity_words()["prefixes"].items() for word in words}
_CUES = {word: kind for kind, words in entity_words()["cues"].items() for word in words}
_FILLERS, _OURS, _YOURS = (frozenset(entity_words()["between"][name]) for name in ("fillers", "ours", "yours"))
CODE_TYPES = frozenset(
    {"product_sku", *(rule.partition("/")[0] for rule, _ in (*_SHAPES, *_BARE)), *_PREFIXES.values(), *_CUES.values()}
)
"""Entity types that `find_codes` can find."""
_LEAST_DIGITS_OF_ANY = 3
_LEAST_DIGITS = {"ticket_number": 4, "tracking_number": 7}


def find_codes(text: str) -> Iterator[Find]:
    """Codes of `text` in order, each claimed by one rule."""
    for match in _TOKEN.finditer(text):
        token = match.group()
        if len(token) <= _LONGEST and any(character.isdigit() for character in token):
            before = text[max(0, match.start() - _REACH) : match.start()]
            rule = _by_shape(token) or _by_cue(token, before) or _by_form(token)
            if rule:
                yield Find(rule, match.start(), match.end())


def _by_shape(token: str) -> str | None:
    for rule, pattern in _SHAPES:
        if pattern.fullmatch(token):
            return rule
    word = _WORD.match(token.lstrip("#"))
    kind = _PREFIXES.get(word.group().upper()) if word else None
    return f"{kind}/prefix" if kind and _digits(token) >= 3 else None


def _by_form(token: str) -> str | None:
    for rule, pattern in _BARE:
        if pattern.fullmatch(token):
            return rule
    lettered = sum(any(c.isalpha() for c in segment) for segment in token.split("-"))
    return "product_sku/segments" if lettered > 1 and _SKU.fullmatch(token) else None


def _by_cue(token: str, before: str) -> str | None:
    """The nearest word before the token decides, if it is a cue; fillers and punctuation may stand between."""
    if _digits(token) < _LEAST_DIGITS_OF_ANY:
        return None
    words = [_lower(word.group()) for word in _WORD.finditer(before.rpartition("\n")[2])]
    passed: list[str] = []
    while words and words[-1] in _FILLERS:
        passed.append(words.pop())
    kind = _CUES.get(words[-1]) if words else None
    if kind is None or _digits(token) < _LEAST_DIGITS.get(kind, 0):
        return None
    whose = {*words[-2:], *passed}
    if kind == "order_number" and whose & _OURS:
        kind = "po_number"
    return f"{kind}/yours" if whose & _YOURS else f"{kind}/cue"


def _lower(word: str) -> str:
    """Lower case in which a Turkish capital reads as the Turkish or the plain letter, whichever makes a known word."""
    plain = word.replace("\u0130", "i").lower()
    turkish = word.replace("\u0130", "i").replace("I", "\u0131").lower()
    return turkish if turkish in _CUES or turkish in _FILLERS else plain


def _digits(token: str) -> int:
    return sum(character.isdigit() for character in token)
