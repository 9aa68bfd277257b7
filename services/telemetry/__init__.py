"""Logs and metrics."""

from mailweir.services.telemetry.ages import note_ages
from mailweir.services.telemetry.logs import configure_logging, logger
from mailweir.services.telemetry.metrics import Metrics

__all__ = ["Metrics", "configure_logging", "logger", "note_ages"]
