"""How often a model that stays as it is calls for a run by drift: `python tests/bench/drift_noise.py [MODELS] [Z]`. A report, not a test.

People judge its decisions for twelve weeks, and the policy looks every hour. What they say of one that stays the same varies by
chance, in how sure it was and in how often it was right, the one with the other; nothing of that is drift. One that drifts in
the middle should be found. `Z` is another limit of chance than the policy's.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mailweir.services.retrain import rules
from mailweir.services.retrain.counts import ShardCounts, Tally

WEEK = 168
WEEKS = 12
DRIFTS = 6 * WEEK  # hour of the change


@dataclass(frozen=True, slots=True)
class Case:
    """What people say."""

    name: str
    words: float  # a day
    heads: int  # that a word judges
    wrong: float  # share called wrong
    worse: float = 0.0  # so much more from the middle on


CASES = (
    Case("the same, 10 words a day, 30 % against", 10, 1, 0.3),
    Case("the same, 20 words a day, 30 % against", 20, 1, 0.3),
    Case("the same, 5 words a day about five heads, 30 % against", 5, 5, 0.3),
    Case("the same, 20 words a day about five heads, 10 % against", 20, 5, 0.1),
    Case("the same, 100 words a day, 30 % against", 100, 1, 0.3),
    Case("15 points worse, 20 words a day", 20, 1, 0.3, 0.15),
    Case("15 points worse, 100 words a day", 100, 1, 0.3, 0.15),
    Case("10 points worse, 100 words a day", 100, 1, 0.3, 0.1),
)
_SPREAD = 2.0  # of how sure the model is from mail to mail; right as often as it says


def hours(rng: np.random.Generator, case: Case) -> NDArray[np.float64]:
    """(hours, 4): words, verdicts, those against, and the sum of probabilities."""
    found = np.zeros((WEEKS * WEEK, 4))
    for hour in range(WEEKS * WEEK):
        wrong, words = case.wrong + (case.worse if hour >= DRIFTS else 0), int(rng.poisson(case.words / 24))
        shares = rng.beta(wrong * _SPREAD, (1 - wrong) * _SPREAD, words)
        against = rng.binomial(case.heads, shares).sum()
        found[hour] = words, words * case.heads, against, ((1 - shares) * case.heads).sum()
    return found


def counts(sums: NDArray[np.float64]) -> ShardCounts:
    """As shards tell it."""
    words, said, against = (int(number) for number in sums[:3])
    return ShardCounts(human=words, heads=Tally(said - against, against), expected=float(sums[3]))


def called_at(case: Case, seed: int) -> int | None:
    """The first hour at which drift is found; None if it never is."""
    found = np.vstack([np.zeros(4), hours(np.random.default_rng(seed), case).cumsum(axis=0)])
    looks = range(DRIFTS if case.worse else WEEK, WEEKS * WEEK + 1)
    edges = ((hour, found[hour - WEEK], found[hour]) for hour in looks)
    return next(
        (hour for hour, edge, now in edges if rules.drift(counts(edge), counts(now - edge), rules.Limits()).met), None
    )


def main(models: int) -> None:
    """Every case."""
    for case in CASES:
        calls = [found for seed in range(models) if (found := called_at(case, seed)) is not None]
        late = sorted(hour - DRIFTS for hour in calls)
        when = f", half of them within {late[len(late) // 2] / 24:.1f} days" if case.worse and late else ""
        print(f"{case.name}: {len(calls)} of {models} called{when}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        rules._Z = float(sys.argv[2])
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
