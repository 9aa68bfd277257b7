"""Whether people's words call a champion back after its promotion: pure code over counts and rates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailweir.services.retrain.counts import Said, ShardCounts
from mailweir.services.retrain.rules import SHORT, Finding, beyond_chance
from mailweir.services.runs.duration import duration
from mailweir.services.settings import Settings

__all__ = ["Trial", "TrialLimits", "judge_trial"]

# A trial is looked at again and again for a week, and ends at the first look that is met: at 95 % of one look 30 of 40 champions
# as good as the one before were demoted, and 32 of 40 where a word judges five heads of a mail (tests/bench/trial_noise.py).
_Z = 3.0


@dataclass(frozen=True, slots=True)
class TrialLimits:
    """The numbers; their reasons are in the settings."""

    error_budget: float = 0.1
    burn_factor: float = 2.0
    window: timedelta = timedelta(hours=24)
    min_verdicts: int = 50
    min_people: int = 3
    length: timedelta = timedelta(days=7)

    @classmethod
    def of(cls, settings: Settings) -> TrialLimits:
        """As the settings say."""
        return cls(
            settings.retrain_error_budget,
            settings.rollback_burn_factor,
            timedelta(hours=settings.rollback_window_hours),
            settings.rollback_min_verdicts,
            settings.rollback_min_people,
            timedelta(days=settings.rollback_trial_days),
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """A champion that was promoted in place of another, and what people said of both."""

    champion: str  # version
    before: str  # the version that it would go back to
    since: datetime  # the promotion
    now: datetime
    shards: Sequence[ShardCounts]

    def said(self, version: str, start: datetime) -> Said:
        """Of this version from that time until now; a minute counts as a whole, a time to come is nobody's."""
        first = start.replace(second=0, microsecond=0)
        return _sum(
            said
            for one in self.shards
            for (name, at), said in one.versions.items()
            if name == version and first <= at <= self.now
        )

    def recent(self, length: timedelta) -> Said:
        """Of the champion in a window that ends now and begins at its promotion at the earliest."""
        return self.said(self.champion, max(self.since, self.now - length))


def judge_trial(trial: Trial, limits: TrialLimits) -> Finding:
    """Met: demote. Disagreement burns its budget in both windows, and is beyond chance more than with the version before."""
    if trial.now - trial.since > limits.length:
        return Finding("trial_over", met=False, text=f"promoted more than {duration(limits.length)} ago")
    long, short = trial.recent(limits.window), trial.recent(limits.window / SHORT)
    if too_few := _too_few(long, short, limits):
        return too_few
    burns = [said.heads.wrong_share / limits.error_budget for said in (long, short)]
    text = (
        f"people are against {long.heads.wrong_share:.0%} of {long.heads.said} verdicts on {trial.champion}, {burns[0]:.1f} times "
        f"the budget of {limits.error_budget:.0%} ({burns[1]:.1f} times lately, the limit is {limits.burn_factor:g})"
    )
    if min(burns) <= limits.burn_factor:
        return Finding("trial_burn_low", met=False, text=text)
    return _compared(trial, long, text, limits)


def _too_few(long: Said, short: Said, limits: TrialLimits) -> Finding | None:
    """The short window only tells that it still goes on: its share of the time is its share of the verdicts."""
    lately = math.ceil(limits.min_verdicts / SHORT)
    if long.heads.said < limits.min_verdicts or short.heads.said < lately:
        told = f"{long.heads.said} verdicts in the window, {short.heads.said} in its last twelfth"
        return Finding("trial_few_verdicts", met=False, text=f"{told}: below {limits.min_verdicts} and {lately}")
    if len(long.people) < limits.min_people:
        return Finding(
            "trial_few_people", met=False, text=f"{len(long.people)} people spoke, below {limits.min_people}"
        )
    return None


def _compared(trial: Trial, champion: Said, text: str, limits: TrialLimits) -> Finding:
    """People judge what they stumble over: a rate says little by itself, and much beside that of the version before."""
    whole = trial.said(trial.before, trial.since - limits.length)
    before, both = whole.heads, whole + champion
    if before.said < limits.min_verdicts:
        return Finding(
            "trial_no_reference", met=False, text=f"{text}; of {trial.before} there are {before.said} verdicts"
        )
    told = f"{text}; with {trial.before} it was {before.wrong_share:.0%} of {before.said}"
    if not beyond_chance(before, champion.heads, _Z, both.heads.said / max(both.words, 1)):
        return Finding("trial_not_worse", met=False, text=told)
    return Finding("worse", met=True, text=told)


def _sum(parts: Iterable[Said]) -> Said:
    return sum(parts, Said())
