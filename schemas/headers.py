"""Kafka headers: CloudEvents in binary mode, and W3C trace context.

CloudEvents Kafka protocol binding 1.0.2, section 3.2: attributes are headers `ce_*`, the value is the data alone, and
`content-type` names its format. Trace Context level 1: `traceparent` = version - trace id - parent id - flags.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from mailweir.schemas.events.base import Event
from mailweir.schemas.ids import digest

__all__ = ["Headers", "child_traceparent", "event_headers", "header", "trace_of"]

Headers = list[tuple[str, bytes]]
"""Kafka headers in order; a name may stand more than once."""

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


def header(headers: Iterable[tuple[str, bytes | None]], name: str) -> str | None:
    """The last header of that name (case-insensitive) as text; None if there is none."""
    found = [value for key, value in headers if key.lower() == name and value is not None]
    return found[-1].decode("utf-8", "replace") if found else None


def event_headers(event: Event, source: str, traceparent: str, at: datetime | None = None) -> Headers:
    """Headers of an event that stage `source` publishes."""
    time = (at or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fields = {
        "ce_specversion": "1.0",
        "ce_id": event.event_id,
        "ce_type": f"{event.ce_type}.v{event.schema_version}",
        "ce_source": f"/mailweir/{source}",
        "ce_time": time,
        "content-type": "application/json",
        "traceparent": traceparent,
    }
    return [(name, value.encode()) for name, value in fields.items()]


def trace_of(headers: Iterable[tuple[str, bytes | None]]) -> str | None:
    """Trace id of a valid `traceparent`, else None (an invalid one is ignored, as the standard asks)."""
    match = _TRACEPARENT.fullmatch(header(headers, "traceparent") or "")
    if match is None:
        return None
    version, trace, parent, more = match.groups()
    forbidden = version == "ff" or (version == "00" and more)  # versions after 00 may be longer than we know
    return trace if not forbidden and int(trace, 16) and int(parent, 16) else None


def child_traceparent(trace: str, stage: str, subject: str) -> str:
    """Trace context of what `stage` makes of `subject`: the span id follows from both, so a repeat is the same span."""
    return f"00-{trace}-{digest('span', stage, subject)[:16]}-01"
