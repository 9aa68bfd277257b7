"""Logs, metrics and traces."""

from mailweir.services.telemetry.ages import note_ages
from mailweir.services.telemetry.logs import configure_logging, logged_with, logger
from mailweir.services.telemetry.metrics import Metrics
from mailweir.services.telemetry.traces import Collector, Span, Traces, open_traces, own_context

__all__ = [
    "Collector",
    "Metrics",
    "Span",
    "Traces",
    "configure_logging",
    "logged_with",
    "logger",
    "note_ages",
    "open_traces",
    "own_context",
]
