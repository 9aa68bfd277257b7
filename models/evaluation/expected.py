"""Accuracy without labels, and beside it accuracy by labels, per head and bundle. Pure.

**Estimated**: if probabilities are calibrated, a label of probability p is right p of the time, so the mean probability of the
labels decided is the accuracy to expect (confidence-based performance estimation; for accuracy it is the average confidence of
Hendrycks and Gimpel, 2017). It follows the mail as it changes while its difficulty shows in the probabilities. It does not see
what calibration did not: labels that come to mean something else, and, in part, other shares of labels (`tests/bench/cbpe.py`).

**Realised**: only where it is fair. People correct what they stumble over, so among the words that they give of themselves too
many say wrong; of what nobody says anything one cannot tell whether it is right or was not looked at. So accuracy is measured
on the decisions that the review queue drew by lot, before anything was known of them, each weighed by the inverse of the chance
that it had (Hajek's estimator). What is left of bias: questions of the lot that nobody answers, and people who agree with what
they are shown. Its interval is Wilson's, with the effective number of verdicts (Kish) where chances differ.

**At most**: every decision that people call wrong is one that is not right, drawn or not. So accuracy is at most the share of
decisions that nobody called wrong; errors that nobody saw make it less.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["Accuracy", "Expected", "Verdict", "wilson"]

_Z = 1.959964  # two-sided 95 %
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Accuracy:
    """One head of one bundle over a window."""

    head: str
    version: str
    decisions: int
    estimated: float
    verdicts: int  # on decisions that were drawn by lot
    realised: float | None  # None: nobody was asked by lot
    low: float | None  # 95 % interval of the realised one
    high: float | None
    error: float | None  # estimated less realised: above 0 the bundle is surer than it is right
    said: int  # all verdicts, drawn or given
    at_most: float  # no accuracy is above this

    @property
    def within(self) -> bool | None:
        """True if the estimate lies in the interval; None without verdicts."""
        return None if self.low is None or self.high is None else self.low <= self.estimated <= self.high


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person says about one head of one decision."""

    decision_id: str
    head: str
    right: bool


@dataclass(slots=True)
class _Sums:
    decisions: int = 0
    expected: float = 0.0
    drawn: int = 0
    weight: float = 0.0
    squares: float = 0.0
    right: float = 0.0  # weight of those that are right
    said: int = 0
    wrong: int = 0

    def judge(self, verdict: Verdict, chance: float | None) -> None:
        self.said += 1
        self.wrong += not verdict.right
        if chance:
            weight = 1 / chance
            self.drawn += 1
            self.weight += weight
            self.squares += weight * weight
            self.right += weight * verdict.right


@dataclass(slots=True)
class Expected:
    """Adds up a window of decisions, each once however often it was published, then the verdicts on them."""

    _sums: dict[tuple[str, str], _Sums] = field(default_factory=dict)  # by head and version
    _versions: dict[str, str] = field(default_factory=dict)  # by decision id

    def decided(self, decision_id: str, version: str, heads: Mapping[str, float]) -> None:
        """A decision with the probability of each head's label."""
        if decision_id in self._versions:
            return
        self._versions[decision_id] = version
        for head, probability in heads.items():
            sums = self._sums.setdefault((head, version), _Sums())
            sums.decisions += 1
            sums.expected += probability

    def judged(self, verdicts: Iterable[Verdict], chances: Mapping[str, float]) -> None:
        """Verdicts, at most one for each decision and head; `chances` are those of the decisions that were drawn by lot.

        What is not about a decision of the window, or about a head that it has not, counts for nothing.
        """
        for verdict in verdicts:
            sums = self._sums.get((verdict.head, self._versions.get(verdict.decision_id, "")))
            if sums is not None:
                sums.judge(verdict, chances.get(verdict.decision_id))

    def table(self) -> list[Accuracy]:
        """By version, then by head in the order in which they came."""
        return [
            _accuracy(head, version, sums)
            for (head, version), sums in sorted(self._sums.items(), key=lambda i: i[0][1])
        ]


def wilson(share: float, count: float) -> tuple[float, float]:
    """95 % interval of a share among so many trials (Wilson, 1927); it is right for few trials and for shares near 0 and 1."""
    spread = _Z * _Z / count
    middle = (share + spread / 2) / (1 + spread)
    reach = math.sqrt(share * (1 - share) * spread + spread * spread / 4) / (1 + spread)
    return max(middle - reach, 0.0), min(middle + reach, 1.0)


def _accuracy(head: str, version: str, sums: _Sums) -> Accuracy:
    estimated = sums.expected / sums.decisions
    realised = low = high = error = None
    if sums.drawn:
        realised = sums.right / sums.weight
        low, high = (round(edge, _DIGITS) for edge in wilson(realised, sums.weight**2 / sums.squares))
        error = round(estimated - realised, _DIGITS)
        realised = round(realised, _DIGITS)
    at_most = round(1 - sums.wrong / sums.decisions, _DIGITS)
    return Accuracy(
        head,
        version,
        sums.decisions,
        round(estimated, _DIGITS),
        sums.drawn,
        realised,
        low,
        high,
        error,
        sums.said,
        at_most,
    )
