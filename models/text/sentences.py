"""Sentences of a text, with their places: English, Turkish, German, French and Spanish mail, wrapped or not.

Linear in the length of the text: every pattern is bounded, and each character is looked at a fixed number of times.
"""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import resources
from itertools import chain
from typing import NamedTuple

_WRAPPED = range(60, 101)  # widths at which mail programs break lines; a longer line is a whole paragraph
_BROKEN = 30  # characters; the end of a shorter line was meant
_LONG_WORD = 4  # letters; a point after a shorter one and before a small letter is taken for an abbreviation
_ITEM_NUMBER = 3  # characters
_INDENT = 12
_LONGEST_WORD = 30  # characters that are looked at before a point
_DAY = 2  # digits of an ordinal number (German and Turkish write "3." for "third")

_END = re.compile(r"([.!?…]{1,10})(?:[\"'”’»)\]*_]|[ \u00a0\u202f]»){0,3}(?=\s)")
_WORD_BEFORE = re.compile(r"[\w.\-]{1,30}$")
_FIRST_WORD = re.compile(r"[\s\"'“„«(\[*_¿¡]{0,6}([^\W_]\w{0,30})")
_ITEM = re.compile(r"\s{0,12}(?:[-*•·–—+>|#▪▸►‣◦➤✓]|\(?(?:\d{1,2}|[^\W\d_])[.)](?=\s))")
_LABEL = re.compile(r"\s{0,8}[^\W\d_][\w /.&-]{0,28}\s?:(?=\s|$)")
_TABLE = re.compile(r"\t|\|| {3}\S")
_INITIALS = re.compile(r"(?:[^\W\d_]\.){1,9}[^\W\d_]|[A-ZÇĞİÖŞÜÄÉÀÑ]")  # U.S, A.Ş, z.B; J, but not the m of 36 m
_MERIDIEM = frozenset({"a.m", "p.m", "am", "pm"})


class Bounds(NamedTuple):
    """A range of a text."""

    start: int
    end: int


def split_sentences(text: str) -> Iterator[Bounds]:
    """Sentences of `text` in order, without the blanks around them; all characters between two of them are blanks.

    A line of a list or a table is a sentence. Where a mail program wrapped a line, the sentence goes on.
    """
    for block in _blocks(text):
        start = block.start
        for end in chain(_ends(text, block), (block.end,)):
            bounds = _without_blanks(text, start, end)
            if bounds.start < bounds.end:
                yield bounds
            start = end


def _blocks(text: str) -> Iterator[Bounds]:
    """Lines, those joined that a mail program wrapped."""
    paragraph: list[Bounds] = []
    for line in _lines(text):
        if text[line.start : line.end].strip():
            paragraph.append(line)
        else:
            yield from _unwrapped(text, paragraph)
            paragraph = []
    yield from _unwrapped(text, paragraph)


def _lines(text: str) -> Iterator[Bounds]:
    start = 0
    for line in text.splitlines(keepends=True):
        yield Bounds(start, start := start + len(line))


def _unwrapped(text: str, lines: list[Bounds]) -> Iterator[Bounds]:
    written = [text[line.start : line.end].rstrip() for line in lines]
    widest = max((len(line) for line in written if len(line) in _WRAPPED), default=0)
    start = lines[0].start if lines else 0
    for place, line in enumerate(lines):
        if line is lines[-1] or not _goes_on(written[place], written[place + 1], widest):
            yield Bounds(start, line.end)
            start = line.end


def _goes_on(line: str, following: str, widest: int) -> bool:
    """Whether the line end between two lines stands inside a sentence."""
    if len(line) >= _WRAPPED.stop or _ITEM.match(following) or _TABLE.search(line) or _TABLE.search(following):
        return False
    if line.endswith((":", ".", "!", "?", ";")) or (_LABEL.match(following) and _LABEL.match(line)):
        return False
    first = following.split(maxsplit=1)[0]
    full = bool(widest) and len(line) + 1 + len(first) > widest
    return len(line) >= _BROKEN and (full or first[0].islower())


def _ends(text: str, block: Bounds) -> Iterator[int]:
    """Where sentences end inside a block."""
    if _TABLE.search(text, block.start, block.end):
        return
    first = _FIRST_WORD.match(text, block.start, block.end)
    small = first is not None and text[first.start(1)].islower()
    for match in _END.finditer(text, block.start, block.end):
        following = _FIRST_WORD.match(text, match.end(), block.end)
        before = _WORD_BEFORE.search(text, max(block.start, match.start() - _LONGEST_WORD), match.start())
        word = before.group() if before else ""
        if not _numbers_item(text, block, before) and _is_end(
            match.group(1), word, following.group(1) if following else "", small=small
        ):
            yield match.end()


def _numbers_item(text: str, block: Bounds, word: re.Match[str] | None) -> bool:
    """Whether the word is the number or letter of an item: `1.`, `b.` at the beginning of a line."""
    if word is None or len(word.group()) > _ITEM_NUMBER or word.start() - block.start > _INDENT:
        return False
    return not text[block.start : word.start()].strip(" \t(*-")


def _is_end(sign: str, word: str, following: str, *, small: bool) -> bool:
    """Whether `sign` ends a sentence: `word` stands before it, `following` after it.

    `small`: the writer begins sentences with small letters.
    """
    if "!" in sign or "?" in sign:
        return True
    goes_on = following[:1].islower() and not small
    if sign != ".":
        return not goes_on
    if word.lower() in _MERIDIEM:
        return not goes_on and following.lower() not in _words("dates")
    if _is_abbreviated(word, following):
        return False
    if word.isdigit() and len(word) <= _DAY and (goes_on or following.lower() in _words("dates")):
        return False
    return not goes_on or len(word) >= _LONG_WORD


def _is_abbreviated(word: str, following: str) -> bool:
    if word.lower() in _words("always") or _INITIALS.fullmatch(word):
        return True
    return word.lower() in _words("before_number") and following[:1].isdigit()


@cache
def _words(name: str) -> frozenset[str]:
    return frozenset(word_lists()["abbreviations"][name])


@cache
def word_lists() -> dict[str, dict[str, list[str]]]:
    """The lists of `sentence_words.toml`, by section and name."""
    return tomllib.loads((resources.files(__package__) / "sentence_words.toml").read_text(encoding="utf-8"))


def _without_blanks(text: str, start: int, end: int) -> Bounds:
    part = text[start:end]
    left = start + len(part) - len(part.lstrip())
    return Bounds(left, max(left, start + len(part.rstrip())))
