"""Two systems on the same rows: F1 of both and the difference, its interval from resampling rows in pairs (Efron, 1979)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import comb

import numpy as np
from numpy.typing import NDArray

from mailweir.models.evaluation.tally import Estimate, Tally, estimated, resamples

__all__ = ["Both", "Paired", "paired"]

Table = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Both:
    """One figure of two systems."""

    rows: int  # that it rests on: of a label, those where it is right or given by either
    champion: float
    candidate: float
    change: Estimate
    chance: float  # that equals would lose at least as many of the rows that only one of them has right


@dataclass(frozen=True, slots=True)
class Paired:
    """All figures of one head on the same rows."""

    macro: Both
    micro: Both
    labels: Mapping[str, Both]  # those that are right somewhere


def paired(champion: Tally, candidate: Tally) -> Paired:
    """Figures of two tallies with the same rows and labels."""
    rows = len(champion.hits)
    once = np.ones((1, rows))
    points = [_scores(tally, once) for tally in (champion, candidate)]
    parts = [[_scores(tally, weights) for tally in (champion, candidate)] for weights in resamples(rows)]
    changes = np.vstack([after - before for before, after in parts])
    chances = _chances(champion, candidate)
    found = [
        Both(rows, float(before), float(after), estimated(float(after - before), column), chance)
        for before, after, column, chance in zip(points[0][0], points[1][0], changes.T, chances, strict=True)
    ]
    counts = champion.right.sum(axis=0)
    labels = {
        label: replace(both, rows=int(counts[i]))
        for i, (label, both) in enumerate(zip(champion.labels, found[2:], strict=True))
        if counts[i]
    }
    return Paired(found[0], found[1], labels)


def _chances(champion: Tally, candidate: Tally) -> list[float]:
    """Of macro and micro by whole rows, then of each label.

    The exact sign test (McNemar, 1947): three rows of ten that are lost are beyond a bootstrap interval, and one time in eight
    they are chance.
    """
    before, after = (tally.right == tally.given for tally in (champion, candidate))
    whole, own = _chance(before.all(axis=1), after.all(axis=1)), champion.right > 0
    return [whole, whole, *(_of_label(before[:, i], after[:, i], own[:, i]) for i in range(before.shape[1]))]


def _of_label(before: NDArray[np.bool_], after: NDArray[np.bool_], with_it: NDArray[np.bool_]) -> float:
    """By all cells or by the rows that are right with the label, whichever tells more.

    A candidate that never gives a label loses its rows, and wins as many others where the champion gave it wrongly.
    """
    return min(_chance(before, after), _chance(before[with_it], after[with_it]))


def _chance(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> float:
    lost, won = int((before & ~after).sum()), int((after & ~before).sum())
    as_many = sum(comb(lost + won, count) for count in range(lost, lost + won + 1))
    return as_many / float(2 ** (lost + won))


def _scores(tally: Tally, weights: Table) -> Table:
    """(resamples, 2 + labels): macro-F1 over the labels that occur, micro-F1, F1 of each label."""
    hits, right, given = (weights @ table for table in (tally.hits, tally.right, tally.given))
    f1 = _ratio(2 * hits, right + given)
    occurring = right > 0
    macro = _ratio(np.where(occurring, np.nan_to_num(f1), 0).sum(axis=1), occurring.sum(axis=1))
    micro = _ratio(2 * hits.sum(axis=1), (right + given).sum(axis=1))
    return np.column_stack([macro, micro, f1])


def _ratio(above: Table, below: Table) -> Table:
    return np.asarray(np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0))
