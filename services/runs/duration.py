"""Spans of time as people say them."""

from __future__ import annotations

from datetime import timedelta

__all__ = ["duration"]

_UNITS = {"day": 86_400, "hour": 3_600, "minute": 60, "second": 1}


def duration(span: timedelta) -> str:
    """`7 days`, `1 day`, `90 minutes`, `1.5 seconds`: in the largest unit that it is a whole number of."""
    seconds = span.total_seconds()
    name, length = next(
        ((name, length) for name, length in _UNITS.items() if seconds >= length and seconds % length == 0),
        ("second", 1),
    )
    return f"{seconds / length:g} {name}{'' if seconds == length else 's'}"
