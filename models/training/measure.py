"""Figures: F1 per label, calibration error, what a threshold accepts. Numpy only, so that they are the same everywhere."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Indices = NDArray[np.int64]

ALL = "all"
"""Name of the slice that holds every row."""

_BANDS = ((50, "1-50 words"), (150, "51-150 words"), (300, "151-300 words"))
_LONGEST_BAND = "over 300 words"


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a threshold does: share of rows at or above it, and how many of those are right."""

    threshold: float
    share: float
    accuracy: float


def f1_per_label(right: Indices, given: Indices, labels: int) -> Numbers:
    """(labels,) F1 of each label; NaN for one that occurs in neither."""
    scores = np.full(labels, np.nan)
    for label in range(labels):
        hits = float(((right == label) & (given == label)).sum())
        both = float((right == label).sum() + (given == label).sum())
        if both:
            scores[label] = 2 * hits / both
    return scores


def macro_f1(right: Indices, given: Indices, labels: int) -> float:
    """Mean F1 over the labels that occur in `right`."""
    occurring = np.unique(right)
    return (
        float(np.nan_to_num(f1_per_label(right, given, labels)[occurring]).mean()) if len(occurring) else float("nan")
    )


def micro_f1(right: NDArray[np.bool_], given: NDArray[np.bool_]) -> float:
    """F1 over all cells of two (rows, labels) tables."""
    both = float(right.sum() + given.sum())
    return 2 * float((right & given).sum()) / both if both else float("nan")


def calibration_error(probabilities: Numbers, right: Indices, bins: int = 15) -> float:
    """Expected calibration error (Guo et al., 2017) of the top label over equally filled bins."""
    top = probabilities.max(axis=1)
    hit = probabilities.argmax(axis=1) == right
    order = np.argsort(top, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return float(sum(len(p) * abs(top[p].mean() - hit[p].mean()) for p in parts) / len(top))


def coverage_at(probabilities: Numbers, right: Indices, threshold: float) -> Coverage:
    """What `threshold` accepts; accuracy is 1 where it accepts nothing."""
    accepted = probabilities.max(axis=1) >= threshold
    hit = probabilities.argmax(axis=1) == right
    accuracy = float(hit[accepted].mean()) if accepted.any() else 1.0
    return Coverage(threshold, float(accepted.mean()), accuracy)


def length_band(words: int) -> str:
    """Name of the band of texts that long."""
    return next((name for most, name in _BANDS if words <= most), _LONGEST_BAND)
