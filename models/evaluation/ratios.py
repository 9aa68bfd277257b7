"""Ratios of sums over rows with bootstrap intervals, and the gain of one over another on the same rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mailweir.models.evaluation.tally import Estimate, estimated, resamples

__all__ = ["Ratio", "gain"]

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Per row what is above and below the line, each (rows,); of F1 twice the hits, and right and given together."""

    above: Numbers
    below: Numbers

    def estimate(self) -> Estimate:
        """The ratio over all rows; NaN where nothing is below the line."""
        return estimated(float(self.values(np.ones((1, len(self.above))))[0]), self.resampled())

    def values(self, weights: Numbers) -> Numbers:
        """(resamples,) of (resamples, rows) weights."""
        above, below = weights @ self.above, weights @ self.below
        return np.asarray(np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0))

    def resampled(self) -> Numbers:
        """(resamples,), the same rows drawn for every ratio of as many rows."""
        return np.concatenate([self.values(weights) for weights in resamples(len(self.above))])


def gain(one: Ratio, other: Ratio) -> Estimate:
    """How much higher `one` is, both taken over the same resampled rows."""
    every = np.ones((1, len(one.above)))
    value = float((one.values(every) - other.values(every))[0])
    return estimated(value, one.resampled() - other.resampled())
