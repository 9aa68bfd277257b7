"""The four signs that a model should learn again. Each says whether it is met, under a stable code, with its figures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from mailweir.services.retrain.counts import ShardCounts, Tally
from mailweir.services.settings import Settings

__all__ = ["SHORT", "Finding", "Limits", "beyond_chance", "drift", "enough_labels", "fast_burn", "weak_class"]

SHORT = 12  # the long window is so many short ones: the SRE workbook's choice (chapter 5, multiwindow alerts)
# The fall of accuracy must not be chance, and it is looked at every hour: at 95 % of one look (1.645) 42 of 60 models that stayed
# as they were called for a run within twelve weeks of ten words a day, 58 of 60 where a word judges five heads of a mail; at this
# limit 3 and 0, and those that got 15 points worse were all found, within 6 days instead of 4 (tests/bench/drift_noise.py 60).
_Z = 3.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The policy's numbers; their reasons are in the settings."""

    min_labels: int = 300
    min_class: int = 40
    weak_recall: float = 0.5
    error_budget: float = 0.1
    burn_factor: float = 2.0
    long_window: timedelta = timedelta(days=7)
    min_verdicts: int = 50
    drift_drop: float = 0.05
    min_interval: timedelta = timedelta(hours=24)
    timeout: timedelta = timedelta(hours=24)

    @property
    def short_window(self) -> timedelta:
        """Of the burn rate: it ends an alarm soon after the errors end."""
        return self.long_window / SHORT

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """As the settings say."""
        return cls(
            settings.retrain_min_labels,
            settings.retrain_min_class,
            settings.retrain_weak_recall,
            settings.retrain_error_budget,
            settings.retrain_burn_factor,
            timedelta(days=settings.retrain_window_days),
            settings.retrain_min_verdicts,
            settings.retrain_drift_drop,
            timedelta(hours=settings.retrain_min_interval_hours),
            timedelta(hours=settings.retrain_timeout_hours),
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """One sign, met or not."""

    code: str
    met: bool
    text: str  # with the figures


def enough_labels(fresh: ShardCounts, limits: Limits) -> Finding:
    """Enough words of people that no run has seen."""
    text = f"{fresh.human} new labels of people, {limits.min_labels} are enough"
    met = fresh.human >= limits.min_labels
    return Finding("labels" if met else "few_labels", met=met, text=text)


def weak_class(fresh: ShardCounts, limits: Limits) -> Finding:
    """Enough examples of a class that the model misses more often than not: they teach most."""
    weak = {label: tally for label, tally in fresh.labels.items() if _is_weak(tally, limits)}
    if not weak:
        return Finding(
            "no_weak_class",
            met=False,
            text=f"no class with {limits.min_class} new labels is recalled below {limits.weak_recall:.0%}",
        )
    label, tally = max(weak.items(), key=lambda item: (item[1].wrong, item[0]))
    return Finding("weak_class", met=True, text=f"{tally.wrong} of {tally.said} new labels of {label} were missed")


def _is_weak(tally: Tally, limits: Limits) -> bool:
    return tally.said >= limits.min_class and 1 - tally.wrong_share < limits.weak_recall


def fast_burn(recent: ShardCounts, short: ShardCounts, limits: Limits) -> Finding:
    """Disagreement burns its budget too fast, for long enough and still now (SRE workbook, chapter 5)."""
    if min(recent.heads.said, short.heads.said) < limits.min_verdicts:
        told = f"{recent.heads.said} verdicts in the long window, {short.heads.said} in the short one"
        return Finding("few_verdicts", met=False, text=f"{told}: below {limits.min_verdicts} a rate says nothing")
    burns = [counts.heads.wrong_share / limits.error_budget for counts in (recent, short)]
    met = min(burns) > limits.burn_factor
    text = f"disagreement burns its budget of {limits.error_budget:.0%} {burns[0]:.1f} times (long window) and {burns[1]:.1f} times (short)"
    return Finding("burn" if met else "burn_low", met=met, text=f"{text}; the limit is {limits.burn_factor:g}")


def drift(before: ShardCounts, recent: ShardCounts, limits: Limits) -> Finding:
    """The model is less sure than it was, and people confirm that it is right less often.

    People judge what they stumble over, so accuracy among their words is no accuracy of all mail; but it is so in both
    periods, and the fall between them is real if it is beyond chance (two proportions, one-sided), which many looks find oftener
    than one, and the heads of one mail sooner than as many mails.
    """
    if min(before.heads.said, recent.heads.said) < limits.min_verdicts:
        return Finding(
            "no_reference",
            met=False,
            text=f"below {limits.min_verdicts} verdicts before and in the window, drift cannot be told",
        )
    surer = before.expected / before.heads.said - recent.expected / recent.heads.said
    fall = recent.heads.wrong_share - before.heads.wrong_share
    figures = f"mean probability fell by {surer:.3f}, accuracy by {fall:.3f} (limit {limits.drift_drop:g})"
    if surer < limits.drift_drop:
        return Finding("no_drift", met=False, text=figures)
    alike = (before.heads.said + recent.heads.said) / max(before.human + recent.human, 1)
    if fall < limits.drift_drop or not beyond_chance(before.heads, recent.heads, _Z, alike):
        return Finding("drift_unconfirmed", met=False, text=figures)
    return Finding("drift", met=True, text=figures)


def beyond_chance(before: Tally, recent: Tally, z: float, alike: float) -> bool:
    """Whether the share called wrong has grown by more than chance (two proportions, one-sided, `z` standard errors).

    `alike`: so many verdicts at a time are one in truth, as several heads of one mail may be.
    """
    share = (before + recent).wrong_share
    spread = math.sqrt(share * (1 - share) * (1 / before.said + 1 / recent.said))
    return recent.wrong_share - before.wrong_share > z * spread * math.sqrt(max(alike, 1.0))
