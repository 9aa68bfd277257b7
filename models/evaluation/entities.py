"""Which entities were found: to the letter, and at least in part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from mailweir.models.evaluation.answers import Answer
from mailweir.models.evaluation.tally import Tally
from mailweir.models.training.corpus import EntityMark
from mailweir.schemas.events import Entity

__all__ = ["entity_tallies", "touching"]

Pair = tuple[str, str]  # type, text


def entity_tallies(answers: Sequence[Answer], types: Sequence[str]) -> tuple[Tally, Tally]:
    """Exact and partial counts of annotated answers; each distinct text of a mail counts once for a type.

    Exact: type and text are those of the annotation. Partial: the type is, and the places overlap; a mark and a find each
    count once, and exact pairs go first.
    """
    exact, partial, right, given = (np.zeros((len(answers), len(types))) for _ in range(4))
    column = {kind: place for place, kind in enumerate(types)}
    for row, answer in enumerate(answers):
        marks, finds = _distinct(answer)
        same = marks.keys() & finds.keys()
        near = touching(
            answer, [m for p, m in marks.items() if p not in same], [f for p, f in finds.items() if p not in same]
        )
        for table, pairs in ((right, marks), (given, finds), (exact, same), (partial, same)):
            _count(table[row], (column[kind] for kind, _ in pairs))
        _count(partial[row], (column[kind] for kind in near))
    return Tally(types, exact, right, given), Tally(types, partial, right, given)


def touching(answer: Answer, marks: Sequence[EntityMark], finds: Sequence[Entity]) -> Iterator[str]:
    """Types of the pairs of a mark and a find that overlap, each used once, in the order of the marks."""
    left = list(finds)
    for mark in marks:
        places = list(_places(answer, mark.text))
        for find in left:
            if find.type == mark.type and any(
                find.field == field and find.start < end and start < find.end for field, start, end in places
            ):
                left.remove(find)
                yield mark.type
                break


def _places(answer: Answer, text: str) -> Iterator[tuple[str, int, int]]:
    """Everywhere in subject and body that `text` stands."""
    for field, whole in (("subject", answer.example.subject), ("body", answer.example.body)):
        start = whole.find(text)
        while start >= 0:
            yield field, start, start + len(text)
            start = whole.find(text, start + 1)


def _distinct(answer: Answer) -> tuple[dict[Pair, EntityMark], dict[Pair, Entity]]:
    marks = {(mark.type, mark.text): mark for mark in answer.example.entities or ()}
    return marks, {(found.type, found.text): found for found in answer.entities}


def _count(row: np.ndarray[tuple[int, ...], np.dtype[np.float64]], columns: Iterable[int]) -> None:
    for column, count in Counter(columns).items():
        row[column] += count
