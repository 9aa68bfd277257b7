"""Entities from tags: every token is outside, begins or continues an entity (BIO, Ramshaw and Marcus, 1995)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
OUTSIDE = "O"

_SURE = 0.98  # a token that is outside with this probability ends every entity: no path needs to be searched across it
_EDGES = " \t\n.,;:!?()[]{}<>\"'“”„«»*|"
_OPENING = {")": "(", "]": "["}


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a text that is an entity."""

    type: str
    start: int
    end: int
    probability: float  # of its least certain token


def tag_names(types: Sequence[str]) -> tuple[str, ...]:
    """All tags of entity types: `O`, then `B-` and `I-` of each."""
    return (OUTSIDE, *(f"{mark}-{kind}" for kind in types for mark in "BI"))


def decode_tags(
    logits: Floats, names: Sequence[str], offsets: Sequence[tuple[int, int]], text: str, temperature: float = 1.0
) -> list[Span]:
    """Spans of the likeliest sequence of tags in which no entity continues that did not begin.

    `logits` is (tokens, tags); `offsets` say where each token stands in `text`.
    """
    scaled = logits.astype(np.float64) / temperature
    table = scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True)  # log probabilities
    found: list[Span] = []
    for first, last in _stretches(np.exp(table[:, 0]) < _SURE):
        path = _best_path(table[first:last])
        found += _read(path, table[first:last], names, offsets[first:last], text)
    return found


def _stretches(inside: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(np.int8)))
    yield from ((int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True))


def _best_path(table: NDArray[np.float64]) -> list[int]:
    """Viterbi: `I-x` (even places from 2) may follow only `B-x` (the place before) and itself."""
    continues = np.arange(2, table.shape[1], 2)
    score = table[0].copy()
    score[continues] = -np.inf
    back: list[NDArray[np.int64]] = []
    for row in table[1:]:
        best = int(score.argmax())
        came = np.full(len(row), best)
        after = np.full(len(row), score[best])
        kept = np.where(score[continues] >= score[continues - 1], continues, continues - 1)
        came[continues], after[continues] = kept, score[kept]
        back.append(came)
        score = after + row
    path = [int(score.argmax())]
    for came in reversed(back):
        path.append(int(came[path[-1]]))
    return path[::-1]


def _read(
    path: Sequence[int],
    table: NDArray[np.float64],
    names: Sequence[str],
    offsets: Sequence[tuple[int, int]],
    text: str,
) -> Iterator[Span]:
    begins = [place for place, tag in enumerate(path) if tag % 2]
    for place in begins:
        end = place + 1
        while end < len(path) and path[end] == path[place] + 1:
            end += 1
        # B and I of a type both say "this token is part of one": their sum is what the type itself gets
        kind = path[place]
        sure = np.exp(table[place:end, kind]) + np.exp(table[place:end, kind + 1])
        start, stop = trim(text, offsets[place][0], offsets[end - 1][1])
        if start < stop:
            yield Span(names[kind][2:], start, stop, float(min(sure.min(), 1.0)))


def trim(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without blanks and punctuation at its edges; a closing bracket stays with its opening one."""
    while start < end and text[start] in _EDGES:
        start += 1
    while start < end and text[end - 1] in _EDGES and _OPENING.get(text[end - 1], "\0") not in text[start:end]:
        end -= 1
    return start, end
