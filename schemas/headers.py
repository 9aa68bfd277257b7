"""Kafka headers: CloudEvents in binary mode, and W3C trace context.

CloudEvents Kafka protocol binding 1.0.2, section 3.2: attributes are headers `ce_*`, the value is the data alone, and
`content-type` names its format. Trace Context level 1: `traceparent` = version - trace id - parent id - flags.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from mailweir.schemas.events.base import Event
from mailweir.schemas.ids import digest

__all__ = ["Headers", "TraceParent", "child_traceparent", "event_headers", "header", "traceparent_of"]

Headers = list[tuple[str, bytes]]
"""Kafka headers in order; a name may stand more than once."""

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 1  # the lowest bit of the flags


@dataclass(frozen=True, slots=True)
class TraceParent:
    """The context of one span."""

    trace: str  # 32 hex digits
    span: str  # 16 hex digits
    sampled: bool = False  # whether somebody may have recorded it

    def __str__(self) -> str:
        return f"00-{self.trace}-{self.span}-{'01' if self.sampled else '00'}"


def header(headers: Iterable[tuple[str, bytes | None]], name: str) -> str | None:
    """The last header of that name (case-insensitive) as text; None if there is none."""
    found = [value for key, value in headers if key.lower() == name and value is not None]
    return found[-1].decode("utf-8", "replace") if found else None


def event_headers(event: Event, source: str, traceparent: TraceParent | None, at: datetime | None = None) -> Headers:
    """Headers of an event that stage `source` publishes; without a `traceparent` whoever reads it begins the trace."""
    time = (at or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fields = {
        "ce_specversion": "1.0",
        "ce_id": event.event_id,
        "ce_type": f"{event.ce_type}.v{event.schema_version}",
        "ce_source": f"/mailweir/{source}",
        "ce_time": time,
        "content-type": "application/json",
    } | ({"traceparent": str(traceparent)} if traceparent else {})
    return [(name, value.encode()) for name, value in fields.items()]


def traceparent_of(headers: Iterable[tuple[str, bytes | None]]) -> TraceParent | None:
    """The context of a valid `traceparent`, else None (an invalid one is ignored, as the standard asks)."""
    match = _TRACEPARENT.fullmatch(header(headers, "traceparent") or "")
    if match is None:
        return None
    version, trace, parent, flags, more = match.groups()
    forbidden = version == "ff" or (version == "00" and more)  # versions after 00 may be longer than we know
    if forbidden or not int(trace, 16) or not int(parent, 16):
        return None
    return TraceParent(trace, parent, bool(int(flags, 16) & _SAMPLED))


def child_traceparent(trace: str, stage: str, subject: str, *, sampled: bool = False) -> TraceParent:
    """Trace context of what `stage` makes of `subject`: the span id follows from both, so a repeat is the same span."""
    return TraceParent(trace, digest("span", stage, subject)[:16], sampled)
