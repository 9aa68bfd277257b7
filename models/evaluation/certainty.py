"""Do probabilities mean what they say, and what does it cost to answer only when sure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mailweir.models.training.measure import coverage_at

__all__ = ["Bin", "Calibration", "Coverage", "calibration", "coverage"]

COVERED = 0.8
"""The share of rows, the surest first, at which accuracy is told."""

_BINS = 15  # of equally many answers, as in training
_POINTS = 50  # of the curve that is drawn
_DIGITS = 4

Numbers = NDArray[np.float64]
Truths = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of similar probability."""

    answers: int
    probability: float  # their mean
    right: float  # share


@dataclass(frozen=True, slots=True)
class Calibration:
    """Expected calibration error (Guo et al., 2017) over equally filled bins.

    Of a head of one: the top label's probability against how often it is right. Of a head of many: each label's probability
    against how often the label is wanted.
    """

    error: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What answering only when sure gives."""

    accuracy_at_80: float  # of the surest 80 % of the rows
    threshold: float  # of the bundle
    accepted: float  # share of rows at or above it
    accuracy_accepted: float
    curve: tuple[tuple[float, float], ...]  # share answered, accuracy of those


def calibration(probabilities: Numbers, right: Truths) -> Calibration:
    """Of answers with these probabilities, (answers,)."""
    order = np.argsort(probabilities, kind="stable")
    parts = [part for part in np.array_split(order, _BINS) if len(part)]
    bins = [(len(part), float(probabilities[part].mean()), float(right[part].mean())) for part in parts]
    error = sum(count * abs(said - was) for count, said, was in bins) / len(right)
    told = tuple(Bin(count, round(said, _DIGITS), round(was, _DIGITS)) for count, said, was in bins)
    return Calibration(round(error, _DIGITS), told)


def coverage(probabilities: Numbers, right: NDArray[np.int64], threshold: float) -> Coverage:
    """Of a head of one; `probabilities` is (rows, labels), `right` the true label's index."""
    top, hit = probabilities.max(axis=1), probabilities.argmax(axis=1) == right
    accuracy = np.cumsum(hit[np.argsort(-top, kind="stable")]) / np.arange(1, len(hit) + 1)
    ends = np.unique(np.linspace(1, len(hit), min(_POINTS, len(hit))).round().astype(int))
    curve = tuple((round(int(end) / len(hit), _DIGITS), round(float(accuracy[end - 1]), _DIGITS)) for end in ends)
    accepted = coverage_at(probabilities, right, threshold)
    surest = accuracy[int(np.ceil(COVERED * len(hit))) - 1]
    return Coverage(
        round(float(surest), _DIGITS),
        threshold,
        round(accepted.share, _DIGITS),
        round(accepted.accuracy, _DIGITS),
        curve,
    )
