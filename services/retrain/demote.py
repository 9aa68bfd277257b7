"""Demotes a champion on trial: a thin shell over the policy, the registry's compare-and-swap and its verification."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mailweir.schemas.errors import MailweirError
from mailweir.services.retrain.counts import ShardCounts
from mailweir.services.retrain.request import MODEL, configured_registry
from mailweir.services.retrain.rules import Finding
from mailweir.services.retrain.trial import Trial, TrialLimits, judge_trial
from mailweir.services.settings import Settings
from mailweir.services.telemetry import Metrics, logger

if TYPE_CHECKING:
    from mailweir.models.registry import Promotion, Registry

__all__ = ["BY", "Demoter"]

log = logger(__name__)

BY = "policy"
"""Who did it, in the history."""


class Demoter:
    """Looks at the champion whenever the trigger judges. Blocking: the registry is a folder."""

    def __init__(self, registry: Registry, limits: TrialLimits, metrics: Metrics) -> None:
        self.registry = registry
        self._limits = limits
        self._metrics = metrics
        self._failed = ""  # what went wrong last: told once

    @classmethod
    def of(cls, settings: Settings, metrics: Metrics) -> Demoter | None:
        """As the settings say; None where they want none, and without a registry.

        Raises:
            RegistryError: the registry or its key cannot be used.
        """
        registry = configured_registry(settings) if settings.rollback_auto else None
        return cls(registry, TrialLimits.of(settings), metrics) if registry else None

    def look(self, shards: Sequence[ShardCounts], now: datetime) -> Promotion | None:
        """What was done, if people's words called the champion back; nothing is done where nothing sound was before it."""
        try:
            trial = self._trial(shards, now)
            finding = judge_trial(trial, self._limits) if trial else None
            self._measure(trial)
            if trial is None or finding is None:
                return None
            if not finding.met:
                log.debug("champion_stays", version=trial.champion, code=finding.code, why=finding.text)
                return None
            return self._demote(trial, finding)
        except MailweirError as error:
            self._metrics.rollbacks.labels("failed").inc()
            if error.message != self._failed:
                log.error("demotion_failed", code=error.code, error=error.message)  # noqa: TRY400 - one line tells it
            self._failed = error.message
            return None

    def _trial(self, shards: Sequence[ShardCounts], now: datetime) -> Trial | None:
        """None where the champion was not promoted in place of another: what a rollback brought back is not on trial."""
        champion, before = self.registry.champion(MODEL), self.registry.before(MODEL)
        if champion is None or champion.action != "promoted" or before is None:
            return None
        return Trial(champion.model.version, before.model.version, champion.at, now, shards)

    def _demote(self, trial: Trial, finding: Finding) -> Promotion:
        made = self.registry.rollback(MODEL, expected=trial.champion, cause=finding.text, by=BY)
        self._failed = ""
        self._metrics.rollbacks.labels("done").inc()
        log.warning("champion_demoted", version=trial.champion, back_to=made.model.version, why=finding.text)
        return made

    def _measure(self, trial: Trial | None) -> None:
        heads = trial.recent(self._limits.window).heads if trial else None
        enough = heads is not None and heads.said >= self._limits.min_verdicts
        self._metrics.disagreement.set(heads.wrong_share if heads and enough else float("nan"))
