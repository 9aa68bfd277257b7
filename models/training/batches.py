"""Which mails an epoch learns from, in which batches."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mailweir.models.training.heads import Question

Places = NDArray[np.int64]

_WINDOW = 16  # batches whose mails are sorted by length together


def batches(rows: Places, length: Callable[[int], int], size: int, draw: np.random.Generator) -> Iterator[list[int]]:
    """Every one of `rows` once; mails of like length together, in an order that depends on `draw` alone."""
    shuffled = draw.permutation(rows)
    found: list[list[int]] = []
    for start in range(0, len(shuffled), size * _WINDOW):
        window = sorted((int(row) for row in shuffled[start : start + size * _WINDOW]), key=length)
        found += [window[at : at + size] for at in range(0, len(window), size)]
    return iter([found[place] for place in draw.permutation(len(found))])


def sampling_weights(questions: Sequence[Question], rows: Places, power: float) -> NDArray[np.float64]:
    """(rows,) how often an epoch takes each of `rows`, 1 on average.

    The mean over the heads with one answer of the label's inverse frequency to the `power`; a row that allows several labels
    counts as a part of each, one without an answer as the average.
    """
    total, heads = np.zeros(len(rows)), np.zeros(len(rows))
    for question in questions:
        known = question.known[rows]
        if question.kind == "one" and known.any():
            share = question.answers[rows] / np.maximum(question.answers[rows].sum(axis=1, keepdims=True), 1)
            counts = share[known].sum(axis=0)
            rarity = np.where(counts > 0, counts[counts > 0].mean() / np.maximum(counts, 1e-9), 0.0) ** power
            total += np.where(known, share @ rarity, 0)
            heads += known
    weights = np.where(heads > 0, total / np.maximum(heads, 1), 1.0)
    return np.asarray(weights / weights.mean())


def resampled(rows: Places, weights: NDArray[np.float64], draw: np.random.Generator) -> Places:
    """As many rows, each as often as its weight says, rounded up or down by chance (systematic resampling)."""
    marks = (np.arange(len(rows)) + draw.random()) / len(rows)
    edges = np.cumsum(weights) / weights.sum()
    edges[-1] = 1.0  # the sum may fall short of it by a rounding
    return np.asarray(rows[np.searchsorted(edges, marks, side="right")], np.int64)


def eased(rows: Places, late: NDArray[np.float64] | None, epoch: int, epochs: int) -> Places:
    """The easy part of `rows`: of n `epochs` of a curriculum, epoch e (from 0) takes the first (e + 1) / (n + 1).

    `late` tells per row of all, from 0 to 1, when it comes in (Bengio et al., 2009). None: always.
    """
    if late is None or epoch >= epochs:
        return rows
    return np.asarray(rows[late[rows] <= (epoch + 1) / (epochs + 1)], np.int64)
