"""Precision, recall and F1 from per-row counts, with bootstrap intervals (Efron, 1979) over rows. Numpy only.

One shape serves every question: for each row and label, how often the label was right, how often it was given, how often
both. A head of one label has a single 1 in a row, a head of many several, an entity type any count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Average",
    "Estimate",
    "LabelFigures",
    "Measured",
    "Tally",
    "change_of_f1",
    "estimated",
    "measure",
    "resamples",
]

RESAMPLES = 1_000
SEED = 20_260
"""Any fixed number: the same rows give the same intervals."""

_CELLS = 2_000_000  # resampled rows drawn at once: 16 MB
_DIGITS = 4
_MACRO, _MICRO = slice(0, 3), slice(3, 6)

Table = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with the interval that holds 95 % of its bootstrap; NaN where nothing could be counted."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Average:
    """Macro: mean over the labels that occur. Micro: of all decisions together."""

    precision: Estimate
    recall: Estimate
    f1: Estimate


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """One label or entity type; F1 is NaN where it is neither right nor given anywhere."""

    right: int
    given: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One question on one slice of the rows."""

    rows: int
    macro: Average
    micro: Average
    accuracy: Estimate  # rows without any mistake
    labels: dict[str, LabelFigures]  # those that are right or given somewhere


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts per row and label, each (rows, labels)."""

    labels: Sequence[str]
    hits: Table  # right and given
    right: Table
    given: Table

    def only(self, rows: NDArray[np.bool_]) -> Tally:
        """The counts of some rows."""
        return Tally(self.labels, self.hits[rows], self.right[rows], self.given[rows])


def measure(tally: Tally) -> Measured:
    """All figures of `tally`, which has at least one row."""
    rows = len(tally.hits)
    faultless = ((tally.hits == tally.right) & (tally.hits == tally.given)).all(axis=1).astype(float)
    columns = np.hstack([tally.hits, tally.right, tally.given, faultless[:, None]])
    point = _figures(columns.sum(axis=0)[None, :], rows)[0]
    resampled = np.vstack([_figures(weights @ columns, rows) for weights in resamples(rows)])
    found = [estimated(value, column) for value, column in zip(point, resampled.T, strict=True)]
    return Measured(rows, Average(*found[_MACRO]), Average(*found[_MICRO]), found[6], _per_label(tally))


def change_of_f1(before: Tally, after: Tally, *, macro: bool) -> Estimate:
    """F1 of `after` less that of `before`, the same rows answered twice; both are resampled alike."""
    column = 2 if macro else 5

    def scores(tally: Tally, weights: Table) -> Table:
        counts = np.hstack([tally.hits, tally.right, tally.given, np.zeros((len(tally.hits), 1))])
        return _figures(weights @ counts, len(counts))[:, column]

    rows = len(before.hits)
    resampled = np.concatenate([scores(after, w) - scores(before, w) for w in resamples(rows)])
    once = np.ones((1, rows))
    return estimated(float((scores(after, once) - scores(before, once))[0]), resampled)


def resamples(rows: int) -> Iterator[Table]:
    """How often each row is drawn, (resamples, rows), in blocks that fit into memory."""
    rng, left = np.random.default_rng(SEED), RESAMPLES
    while left:
        size = max(1, min(left, _CELLS // rows))
        drawn = rng.integers(0, rows, (size, rows)) + np.arange(size)[:, None] * rows
        yield np.bincount(drawn.ravel(), minlength=size * rows).reshape(size, rows).astype(float)
        left -= size


def _figures(sums: Table, rows: int) -> Table:
    """(resamples, 3 labels + 1) sums to (resamples, 7): precision, recall, F1 macro and micro, rows without a mistake."""
    hits, right, given = np.split(sums[:, :-1], 3, axis=1)
    macro = [np.where(right > 0, table, np.nan) for table in _three(hits, right, given)]
    micro = [table[:, 0] for table in _three(*(table.sum(axis=1, keepdims=True) for table in (hits, right, given)))]
    occurring = (right > 0).sum(axis=1)
    means = [_ratio(np.nansum(table, axis=1), occurring) for table in macro]
    return np.column_stack([*means, *micro, sums[:, -1] / rows])


def _three(hits: Table, right: Table, given: Table) -> tuple[Table, Table, Table]:
    """Precision and recall are 0 where there was nothing to be right about; F1 is NaN where there was nothing at all."""
    precision = np.nan_to_num(_ratio(hits, given))
    recall = np.nan_to_num(_ratio(hits, right))
    return precision, recall, _ratio(2 * hits, right + given)


def _ratio(above: Table, below: NDArray[np.float64] | NDArray[np.int64]) -> Table:
    filled = np.full(above.shape, np.nan)
    return np.asarray(np.divide(above, below, out=filled, where=below > 0))


def estimated(value: float, resampled: Table) -> Estimate:
    """A figure with the interval of its resampled values, (resamples,)."""
    counted = resampled[~np.isnan(resampled)]
    low, high = np.percentile(counted, [2.5, 97.5]) if len(counted) else (np.nan, np.nan)
    return Estimate(round(float(value), _DIGITS), round(float(low), _DIGITS), round(float(high), _DIGITS))


def _per_label(tally: Tally) -> dict[str, LabelFigures]:
    hits, right, given = (table.sum(axis=0) for table in (tally.hits, tally.right, tally.given))
    precision, recall, f1 = (np.round(table, _DIGITS) for table in _three(hits, right, given))
    return {
        label: LabelFigures(int(right[i]), int(given[i]), float(precision[i]), float(recall[i]), float(f1[i]))
        for i, label in enumerate(tally.labels)
        if right[i] or given[i]
    }
