"""Several systems on the same rows: F1 per head with bootstrap intervals, and intervals of their differences.

One draw of rows serves all systems, so a difference is between answers to the same mails. What was trained with several seeds is
averaged over them within each draw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mailweir.models.export.weights import Floats
from mailweir.models.runtime.bundle import calibrate
from mailweir.models.training.calibrate import fit_spec
from mailweir.models.training.heads import Mask, Question
from mailweir.models.training.measure import Numbers

DRAWS = 2000
MEAN = "mean"
Given = Mapping[str, NDArray[np.int64]]
"""Per head (rows, labels) of 0 and 1: what is answered."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with the range that holds 95 % of its bootstrap draws."""

    value: float
    low: float
    high: float

    @property
    def above(self) -> bool:
        """The whole range is above zero."""
        return self.low > 0

    @property
    def figures(self) -> dict[str, float]:
        """Rounded, for a report."""
        return {"value": round(self.value, 4), "low": round(self.low, 4), "high": round(self.high, 4)}


def answers(questions: Sequence[Question], logits: Floats, fits: Sequence[tuple[Mask, Mask]]) -> Given:
    """What (rows, labels) logits answer.

    A head of one gives its highest label; a head of many the labels above thresholds that are fitted on the first mask of each
    pair of `fits` for the rows of the second.
    """
    found: dict[str, NDArray[np.int64]] = {}
    parts = np.split(logits, np.cumsum([len(q.labels) for q in questions])[:-1], axis=1)
    for question, part in zip(questions, parts, strict=True):
        if question.kind == "one":
            found[question.name] = np.eye(len(question.labels), dtype=np.int64)[np.nan_to_num(part).argmax(axis=1)]
            continue
        table = np.zeros(part.shape, np.int64)
        for fitted, judged in fits:
            known = np.where(fitted[:, None], part, np.nan)
            spec = fit_spec(question, np.asarray(known, np.float32), 0.0)
            table[judged] = calibrate(part[judged], spec) >= np.array(spec.limits)
        found[question.name] = table
    return found


class Contest:
    """Draws of the rows of a mask; every system is measured on the same ones."""

    def __init__(self, questions: Sequence[Question], rows: Mask, draws: int = DRAWS, seed: int = 7) -> None:
        self._questions = questions
        self._rows = np.flatnonzero(rows)
        draw = np.random.default_rng(seed)
        count = len(self._rows)
        counts = [np.bincount(draw.integers(0, count, count), minlength=count) for _ in range(draws)]
        self._counts = np.stack([np.ones(count, np.int64), *counts]).astype(
            np.float64
        )  # the first is the rows as they are

    def scores(self, seeds: Sequence[Given]) -> dict[str, Numbers]:
        """Per head, and `mean` where all are answered, (1 + draws,): F1 of a system, averaged over its seeds."""
        names = [q.name for q in self._questions if q.name in seeds[0]]
        found = {
            q.name: np.mean([self._f1(q, given[q.name]) for given in seeds], axis=0)
            for q in self._questions
            if q.name in names
        }
        if len(names) == len(self._questions):
            found[MEAN] = np.mean(list(found.values()), axis=0)
        return found

    def _f1(self, question: Question, given: NDArray[np.int64]) -> Numbers:
        known = question.known[self._rows]
        counts, said, right = self._counts[:, known], given[self._rows][known], question.answers[self._rows][known]
        hits, there = counts @ (said * right), counts @ right  # (1 + draws, labels)
        both = counts @ said + there
        if question.kind == "many":
            return np.asarray(2 * hits.sum(axis=1) / both.sum(axis=1))
        each = np.where(there > 0, 2 * hits / np.maximum(both, 1), np.nan)
        return np.asarray(np.nanmean(each, axis=1))


def interval(draws: Numbers) -> Interval:
    """Of (1 + draws,) figures, the first of the rows as they are."""
    low, high = np.percentile(draws[1:], [2.5, 97.5])
    return Interval(float(draws[0]), float(low), float(high))


def differences(ours: Mapping[str, Numbers], theirs: Mapping[str, Numbers]) -> dict[str, Interval]:
    """Per head that both answer, ours less theirs."""
    return {name: interval(ours[name] - theirs[name]) for name in ours if name in theirs}
