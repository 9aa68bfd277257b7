"""Do the candidate's probabilities mean what they say, and does it answer as much by itself as the champion?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan

import numpy as np
from numpy.typing import NDArray

from mailweir.models.evaluation.certainty import Calibration, calibration
from mailweir.models.evaluation.ratios import Ratio, gain
from mailweir.models.evaluation.tally import Estimate
from mailweir.models.training.gate.limits import Limits
from mailweir.models.training.gate.sitting import Sitting, known, tally_of
from mailweir.models.training.gate.slices import ALL
from mailweir.models.training.gate.verdict import Check, Rule

__all__ = ["calibration_of", "sureness"]

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Sure:
    """One head of one kind over rows that know it."""

    answered: Numbers  # (rows,) 1 where the top probability is at or above the threshold
    right: Numbers  # (rows,) 1 where the top label is right


def sureness(rows_of: str, candidate: Sitting, champion: Sitting, limits: Limits) -> Iterator[Check]:
    """Calibration of every head, and what answering only when sure gives for heads of one."""
    for head, spec in champion.manifest.heads.items():
        numbers = known(champion.answers[rows_of], head)
        if len(numbers) >= limits.fresh_rows:  # fewer than two rows a bin tell nothing about calibration
            yield _calibration(rows_of, head, candidate, champion, limits)
            if spec.kind == "one":
                yield from _answered(
                    rows_of, head, (_sure(candidate, rows_of, head), _sure(champion, rows_of, head)), limits
                )


def calibration_of(sitting: Sitting, rows_of: str, head: str) -> Calibration:
    """Of the rows that know the head: its top label, or every label of a head of many."""
    probabilities, right = _answers(sitting, rows_of, head)
    if sitting.manifest.heads[head].kind == "many":
        return calibration(probabilities.ravel(), right.ravel() > 0)
    hit = right[np.arange(len(right)), probabilities.argmax(axis=1)] > 0
    return calibration(probabilities.max(axis=1), hit)


def _calibration(rows_of: str, head: str, candidate: Sitting, champion: Sitting, limits: Limits) -> Check:
    ours, theirs = (calibration_of(sitting, rows_of, head).error for sitting in (candidate, champion))
    limit = max(limits.calibration, theirs + limits.calibration_worse)
    said = "within" if ours <= limit else "above"
    rows = len(known(champion.answers[rows_of], head))
    reason = f"{head}, {ALL} of the {rows_of} rows: calibration error {ours:.3f} is {said} {limit:.3f} (champion {theirs:.3f})"
    return Check("calibration", ours <= limit, reason, rows_of, head, ALL, rows, ours, theirs, None, round(limit, 4))


def _answered(rows_of: str, head: str, both: tuple[_Sure, _Sure], limits: Limits) -> Iterator[Check]:
    """Share of rows that the head answers by itself, and share of right answers among them."""
    ones = np.ones(len(both[0].right))
    shares = [Ratio(sure.answered, ones) for sure in both]
    accuracies = [Ratio(sure.answered * sure.right, sure.answered) for sure in both]
    asked: tuple[tuple[Rule, str, list[Ratio], float], ...] = (
        ("answered", "share answered without a person", shares, limits.answered_worse),
        ("answered_right", "share right among the answered", accuracies, limits.answered_accuracy_worse),
    )
    for rule, figure, (ours, theirs), worse in asked:
        change = gain(ours, theirs)
        passed = not change.high < -worse
        place = f"{head}, {ALL} of the {rows_of} rows: {figure}"
        yield Check(
            rule, passed, f"{place} {_told(ours, change, worse, passed=passed)}", rows_of, head, ALL, len(ones),
            _value(ours), _value(theirs), change, worse,
        )  # fmt: skip


def _told(ours: Ratio, change: Estimate, worse: float, *, passed: bool) -> str:
    if isnan(change.value):
        return "cannot be told: one of the two answers nothing by itself"
    against = f"{change.value:+.3f} against the champion ({change.low:+.3f} to {change.high:+.3f})"
    return f"{_value(ours):.3f}, {against}: {'not worse' if passed else 'worse'} by more than {worse:.2f} beyond noise"


def _value(ratio: Ratio) -> float:
    return round(float(ratio.values(np.ones((1, len(ratio.above))))[0]), 4)


def _sure(sitting: Sitting, rows_of: str, head: str) -> _Sure:
    probabilities, right = _answers(sitting, rows_of, head)
    best = probabilities.argmax(axis=1)
    answered = probabilities.max(axis=1) >= sitting.manifest.heads[head].threshold
    return _Sure(answered.astype(float), right[np.arange(len(right)), best])


def _answers(sitting: Sitting, rows_of: str, head: str) -> tuple[Numbers, Numbers]:
    """(rows, labels) probabilities and truths, both in the bundle's own order of labels."""
    mine = [sitting.answers[rows_of][number] for number in known(sitting.answers[rows_of], head)]
    right = tally_of(sitting, head, mine, sitting.manifest.heads[head].labels).right
    return np.stack([one.scores.heads[head] for one in mine]), right
