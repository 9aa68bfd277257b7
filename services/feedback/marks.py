"""Marked ranges of a field, moved to where their text is after redaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mailweir.schemas.events import Entity, EntityField, EntityMark

__all__ = ["Fields", "moved"]

Fields = Mapping[EntityField, str]
"""Subject and body."""


def moved(marks: Iterable[EntityMark | Entity], before: Fields, after: Fields) -> tuple[EntityMark, ...]:
    """The marks in the redacted fields. Pure.

    The n-th occurrence of a text stays the n-th. A mark whose text redaction took, here or elsewhere in the field, is left
    out: where it was could only be guessed.
    """
    return tuple(_moved(marks, before, after))


def _moved(marks: Iterable[EntityMark | Entity], before: Fields, after: Fields) -> Iterator[EntityMark]:
    for mark in marks:
        olds, news = _places(mark.text, before[mark.field]), _places(mark.text, after[mark.field])
        if len(olds) == len(news) and mark.start in olds:
            start = news[olds.index(mark.start)]
            yield EntityMark(type=mark.type, text=mark.text, field=mark.field, start=start, end=start + len(mark.text))


def _places(text: str, field: str) -> list[int]:
    """Where a text begins in a field, overlapping occurrences included."""
    found = []
    at = field.find(text) if text else -1
    while at >= 0:
        found.append(at)
        at = field.find(text, at + 1)
    return found
