"""How long ago it was that what a stage has finished happened."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from mailweir.services.telemetry.metrics import Metrics

__all__ = ["note_ages"]


def note_ages(metrics: Metrics, stage: str, moments: Iterable[datetime]) -> None:
    """A stage has finished what happened at these moments, aware."""
    now = datetime.now(UTC)
    for moment in moments:
        metrics.event_age.labels(stage).observe(max((now - moment).total_seconds(), 0.0))
