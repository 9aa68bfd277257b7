"""What redaction can find, and what it writes in its place."""

import re
from typing import NamedTuple, get_args

from mailweir.services.settings import RedactKind as Kind

__all__ = ["APART", "KINDS", "PLACEHOLDER", "Find", "Kind", "is_part_of_code", "labelled", "placeholder"]

KINDS: frozenset[Kind] = frozenset(get_args(Kind))
"""Every kind."""

PLACEHOLDER = re.compile(r"\[(?:" + "|".join(sorted(KINDS)) + r")\]")
"""What stands where something was redacted."""

APART = "".join(rf"(?<!\[{kind}\])" for kind in sorted(KINDS))
"""Begins a pattern: what follows a placeholder without a blank was part of what went, and is nothing by itself."""

_JOINS = "-/#_@&="
_REACH = 28  # characters before a number in which its label ends


class Find(NamedTuple):
    """A stretch of a text that is personal data."""

    kind: Kind
    start: int
    end: int


def placeholder(kind: Kind) -> str:
    """What is written in place of this kind: `[phone]`."""
    return f"[{kind}]"


def is_part_of_code(text: str, start: int, end: int) -> bool:
    """True where a stretch goes on as a longer code, as the digits of `SO-99182` and of `48213-A` do."""
    before = start > 1 and text[start - 1] in _JOINS and text[start - 2].isalnum()
    after = end + 1 < len(text) and text[end] in "-_@=" and text[end + 1].isalnum()
    return before or after or (start > 0 and text[start - 1] == "#")


def labelled(text: str, start: int, words: re.Pattern[str]) -> bool:
    """True where a label of `words` stands before `start` on its line, with nothing but filling between.

    A placeholder is no label: what redaction wrote must not make it find more the second time.
    """
    before = PLACEHOLDER.sub("0", text[max(0, start - _REACH) : start])
    if start > _REACH:
        before = f"x{before}"  # what is cut off here is the middle of a word, not the beginning of a line
    return words.search(before.rpartition("\n")[2]) is not None
