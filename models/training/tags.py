"""Annotated entities as tags of tokens."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from mailweir.models.text.occurrences import occurrences
from mailweir.models.training.corpus import EntityMark

UNKNOWN = -100  # a token whose tag the annotation does not settle; the loss leaves it out
_AMBIGUOUS = frozenset({"quantity", "deadline"})
_SHORT = 3  # characters: "2" and "40" stand in a mail for other things as well


def tag_targets(
    text: str, offsets: Sequence[tuple[int, int]], marks: Iterable[EntityMark], names: Sequence[str]
) -> NDArray[np.int64]:
    """(tokens,) index of each token's tag in `names`; `UNKNOWN` where a short text occurs several times."""
    place = {name: index for index, name in enumerate(names)}
    owner = np.zeros(len(text) + 1, np.int64)  # per character: 0 outside, UNKNOWN, or index of the tag B
    starts = np.zeros(len(text) + 1, bool)
    for mark in sorted(marks, key=lambda mark: -len(mark.text)):
        found = [span for span in occurrences(text, mark.text) if not owner[span[0] : span[1]].any()]
        unclear = len(found) > 1 and mark.type in _AMBIGUOUS and len(mark.text) <= _SHORT
        for start, end in found:
            owner[start:end] = UNKNOWN if unclear else place[f"B-{mark.type}"]
            starts[start] = True
    return np.array([_tag(owner, starts, start, end) for start, end in offsets], np.int64)


def _tag(owner: NDArray[np.int64], starts: NDArray[np.bool_], start: int, end: int) -> int:
    inside = np.flatnonzero(owner[start:end])
    if not len(inside):
        return 0
    kind = int(owner[start + inside[0]])
    if kind == UNKNOWN:
        return UNKNOWN
    return kind if starts[start:end].any() else kind + 1
