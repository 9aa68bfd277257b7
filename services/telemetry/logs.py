"""Structured logs: one JSON object a line on standard error, with the ids of the mail and never its text."""

from __future__ import annotations

import logging
import sys
from typing import Any

import orjson
import structlog

__all__ = ["configure_logging", "logged_with", "logger"]

logged_with = structlog.contextvars.bound_contextvars
"""Context manager: every line logged within it, in this task or thread, has these fields."""

# Libraries that speak often: their warnings matter, their progress does not.
_QUIET = {"aiokafka": logging.WARNING, "faust": logging.WARNING, "mode": logging.WARNING, "asyncio": logging.WARNING}
_SILENT = "opentelemetry"  # says the same for every request that fails; telemetry/otlp.py says it once


def configure_logging(level: str = "info", form: str = "json") -> None:
    """Send our own events and those of libraries through one renderer to standard error."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
        if form == "json"
        else structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_Calm())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(form)],
        )
    )
    logging.basicConfig(handlers=[handler], level=threshold, force=True)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(least, threshold))
    silent = logging.getLogger(_SILENT)
    silent.propagate = False
    silent.handlers = [logging.NullHandler()]  # with none at all, Python writes to standard error itself


_NO_GROUP_YET = "Group Coordinator Request failed: [Error 15]"


class _Calm(logging.Filter):
    """Keeps a log readable while a broker is away: clients repeat one line many times a second.

    A line of aiokafka passes once in ten seconds for each place that wrote it, with the number of those held back. The
    start and stop lines of faust's services do not pass: each part says in its own words what it did.
    """

    _EVERY_SECONDS = 10.0

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, int], float] = {}
        self._held: dict[tuple[str, int], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """True if the line may pass."""
        if record.levelno <= logging.INFO and str(record.msg).startswith("[^"):
            return False
        if not record.name.startswith("aiokafka"):
            return True
        place = (record.pathname, record.lineno)
        if _NO_GROUP_YET in record.getMessage():  # the first join of a new cluster; news only if it lasts
            self._last.setdefault(place, record.created)
        if record.created - self._last.get(place, 0.0) < self._EVERY_SECONDS:
            self._held[place] = self._held.get(place, 0) + 1
            return False
        self._last[place] = record.created
        held = self._held.pop(place, 0)
        if held:
            record.msg = f"{record.getMessage()} (and {held} more like it)"
            record.args = ()
        return True


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module."""
    found: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return found


def _renderer(form: str) -> structlog.typing.Processor:
    if form == "console":
        return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    return structlog.processors.JSONRenderer(serializer=_dumps)


def _dumps(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()
