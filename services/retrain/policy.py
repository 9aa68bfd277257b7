"""When a run is asked for: pure code over counts and rates. What it is given is evidence, what it gives is a verdict with reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from mailweir.services.retrain.counts import ShardCounts, total
from mailweir.services.retrain.rules import Finding, Limits, drift, enough_labels, fast_burn, weak_class
from mailweir.services.runs.duration import duration

__all__ = ["CODES", "Evidence", "Verdict", "judge", "judge_request"]

CODES = (
    "run_open", "too_soon", "setup_failed", "no_shards", "nothing_new", "few_labels", "no_weak_class", "few_verdicts", "burn_low",
    "no_reference", "no_drift", "drift_unconfirmed",
)  # fmt: skip
"""Why a run is refused: stable, the label values of the metric."""


_RETRY = timedelta(minutes=15)  # after a first set-up failure; twice that after a second, up to the usual interval
_DOUBLINGS = 20


class Known(Protocol):
    """A shard and what is known about it."""

    @property
    def counts(self) -> ShardCounts:
        """Its figures."""

    @property
    def learned(self) -> bool:
        """True if a run that ended with a verdict of the gate has seen it."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a verdict depends on."""

    now: datetime
    shards: Sequence[Known]  # of the champion's taxonomy, readable
    open_run: str | None = None  # id of the run that goes on
    asked_at: datetime | None = None  # when a run was last asked for that its machine could carry out
    setbacks: int = 0  # runs in a row, the last ones, that failed at how their machine is set up …
    setback_at: datetime | None = None  # … and when the last of them ended
    champion_since: datetime | None = None  # when a run last promoted its candidate; None: never

    @property
    def fresh(self) -> ShardCounts:
        """What no run has learned from yet."""
        return total(shard.counts for shard in self.shards if not shard.learned)

    def between(self, start: datetime | None, end: datetime) -> ShardCounts:
        """The shards whose latest word lies in (start, end]."""
        times = ((shard.counts, shard.counts.last_at) for shard in self.shards)
        return total(c for c, at in times if at is not None and (start is None or start < at) and at <= end)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to ask for a run, and why."""

    run: bool
    findings: tuple[Finding, ...]  # what speaks for it; if there is no run, what speaks against it

    @property
    def codes(self) -> tuple[str, ...]:
        """Stable names of the reasons."""
        return tuple(finding.code for finding in self.findings)

    @property
    def reason(self) -> str:
        """The reasons in one sentence."""
        return "; ".join(finding.text for finding in self.findings)


def judge(evidence: Evidence, limits: Limits) -> Verdict:
    """Whether the evidence itself calls for a run."""
    blocked = (
        _blocked(len(evidence.shards), evidence.open_run)
        or _too_soon(evidence, limits.min_interval)
        or _set_back(evidence, limits.min_interval)
    )
    if blocked:
        return Verdict(run=False, findings=(blocked,))
    if not any(not shard.learned for shard in evidence.shards):
        return Verdict(run=False, findings=(Finding("nothing_new", met=False, text="no shard since the last run"),))
    findings = _findings(evidence, limits)
    met = tuple(finding for finding in findings if finding.met)
    return Verdict(run=bool(met), findings=met or findings)


def judge_request(shards: int, open_run: str | None, why: str) -> Verdict:
    """Whether a person who asks for a run gets one: neither counts nor the interval hold it up, another run does."""
    blocked = _blocked(shards, open_run)
    if blocked:
        return Verdict(run=False, findings=(blocked,))
    return Verdict(run=True, findings=(Finding("asked", met=True, text=why),))


def _findings(evidence: Evidence, limits: Limits) -> tuple[Finding, ...]:
    now, fresh = evidence.now, evidence.fresh
    edge = now - limits.long_window
    since = evidence.champion_since
    recent = evidence.between(edge if since is None else max(edge, since), now)
    short = evidence.between(now - limits.short_window, now)
    before = evidence.between(since, edge)
    return (
        enough_labels(fresh, limits),
        weak_class(fresh, limits),
        fast_burn(recent, short, limits),
        drift(before, recent, limits),
    )


def _blocked(shards: int, open_run: str | None) -> Finding | None:
    if open_run:
        return Finding("run_open", met=False, text=f"run {open_run[:12]} goes on")
    if not shards:
        return Finding("no_shards", met=False, text="there is no shard to learn from")
    return None


def _too_soon(evidence: Evidence, interval: timedelta) -> Finding | None:
    if evidence.asked_at is None or evidence.now - evidence.asked_at >= interval:
        return None
    return Finding(
        "too_soon",
        met=False,
        text=f"the last run was asked for at {evidence.asked_at:%Y-%m-%d %H:%M} UTC, less than {duration(interval)} ago",
    )


def _set_back(evidence: Evidence, interval: timedelta) -> Finding | None:
    """A machine that was mended is found soon, and one that stays broken is not asked every minute."""
    if evidence.setback_at is None:
        return None
    pause = min(_RETRY * 2 ** min(evidence.setbacks - 1, _DOUBLINGS), max(interval, _RETRY))
    if evidence.now - evidence.setback_at >= pause:
        return None
    text = (
        f"the last run failed at how its machine is set up ({evidence.setback_at:%Y-%m-%d %H:%M} UTC; `mailweir retrain status` "
        f"says why): the next is asked for {duration(pause)} after it"
    )
    return Finding("setup_failed", met=False, text=text)
