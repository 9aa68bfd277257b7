"""The gate's verdicts as a metric, from the ends of runs: whoever carried a run out has often ended before it is scraped."""

from __future__ import annotations

from mailweir.schemas.errors import ChampionChanged
from mailweir.schemas.events import RetrainFinished
from mailweir.services.runs.history import History
from mailweir.services.telemetry import Metrics

__all__ = ["GateVerdicts"]


class GateVerdicts:
    """Counts each end of a run once; those that were there at the first look are past."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._known: set[str] | None = None  # ids of runs that have ended

    def count(self, history: History) -> None:
        """Take in the runs that have ended since the last look."""
        ends = {run_id: run.end for run_id, run in history.runs.items() if run.end is not None}
        for end in (end for run_id, end in ends.items() if self._known is not None and run_id not in self._known):
            if verdict := _verdict(end):
                self._metrics.gate_verdicts.labels(verdict).inc()
        self._known = set(ends)


def _verdict(end: RetrainFinished) -> str | None:
    """None where the run ended before the gate, whose figures it would have."""
    if not end.metrics or end.outcome == "failed":
        return None
    late = any(reason.startswith(f"{ChampionChanged.code}:") for reason in end.reasons)
    return "passed" if end.outcome == "promoted" or late else "refused"
