"""How often a champion that is as good as the one before is demoted: `python tests/bench/trial_noise.py [TRIALS]`. A report, not a test.

People judge decisions of the old version for a week and of the new one for another, and the trial is looked at every hour. Equals
should stay, be their errors many or few, and be a mail's heads judged one by one or all at once; one that is worse should go.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from mailweir.services.retrain.counts import Said, ShardCounts, Tally
from mailweir.services.retrain.trial import Trial, TrialLimits, judge_trial

HOUR, WEEK, PEOPLE = timedelta(hours=1), 168, 12
PROMOTED = datetime(2026, 5, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Case:
    """What people say."""

    name: str
    words: float  # a day
    heads: int  # that a word judges
    wrong: float  # share called wrong with the old version
    worse: float = 0.0  # so much more with the new one
    alike: float = 0.0  # correlation of the heads of a word


CASES = (
    Case("equals, 100 words a day, 60 % against", 100, 1, 0.6),
    Case("equals, 100 words a day, 30 % against", 100, 1, 0.3),
    Case("equals, 40 words a day about five heads, 30 % against", 40, 5, 0.3, alike=1 / 3),
    Case("20 points worse, 100 words a day", 100, 1, 0.3, 0.2),
)


def hour(rng: np.random.Generator, case: Case, version: str, wrong: float, at: datetime) -> ShardCounts:
    """What is said in it."""
    words = int(rng.poisson(case.words / 24))
    spread = 1 / case.alike - 1 if case.alike else 0
    shares = rng.beta(wrong * spread, (1 - wrong) * spread, words) if spread else np.full(words, wrong)
    against = int(rng.binomial(case.heads, shares).sum())
    people = frozenset(f"p{number}" for number in rng.integers(0, PEOPLE, words))
    return ShardCounts(
        versions={(version, at): Said(Tally(words * case.heads - against, against), people, words)} if words else {}
    )


def demoted_after(case: Case, seed: int) -> int | None:
    """Hours; None if it stays."""
    rng = np.random.default_rng(seed)
    shards = [hour(rng, case, "1.a", case.wrong, PROMOTED + n * HOUR) for n in range(-WEEK, 0)]
    for n in range(WEEK):
        shards.append(hour(rng, case, "1.b", case.wrong + case.worse, PROMOTED + n * HOUR))
        if judge_trial(Trial("1.b", "1.a", PROMOTED, PROMOTED + n * HOUR, shards), TrialLimits()).met:
            return n
    return None


def main(trials: int) -> None:
    """Every case."""
    for case in CASES:
        hours = [found for seed in range(trials) if (found := demoted_after(case, seed)) is not None]
        when = f", half of them within {sorted(hours)[len(hours) // 2]} hours" if hours else ""
        print(f"{case.name}: {len(hours)} of {trials} demoted{when}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
