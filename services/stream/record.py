"""Records as the stream hands them around: what came from a partition, and what goes to a topic."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from mailweir.schemas.events import Coordinates
from mailweir.schemas.headers import Headers, trace_of

__all__ = ["Kept", "Outgoing", "Partition", "Record"]

Partition = tuple[str, int]
"""Topic (full name) and partition number."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record read from a partition."""

    topic: str  # full name
    partition: int
    offset: int
    key: bytes | None
    value: bytes  # b"" for a null value
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int  # as the producer or broker stamped it

    @property
    def place(self) -> Partition:
        """The partition it came from."""
        return (self.topic, self.partition)

    @property
    def coordinates(self) -> Coordinates:
        """Where it lies, for lineage."""
        return Coordinates(topic=self.topic, partition=self.partition, offset=self.offset)

    @property
    def time(self) -> datetime:
        """Its time stamp, aware."""
        return datetime.fromtimestamp(self.timestamp_ms / 1000, UTC)

    @property
    def trace(self) -> str | None:
        """Trace id that it carries."""
        return trace_of(self.headers)

    def log_context(self) -> dict[str, object]:
        """Fields that say which record a log line is about."""
        return {"topic": self.topic, "partition": self.partition, "offset": self.offset, "trace_id": self.trace}


@dataclass(frozen=True, slots=True)
class Kept:
    """A stage's result for a record that it has put somewhere durable, and of which nothing is to be published.

    The stage must have written it before it says so: once all results of a batch are given, its offsets are committed.
    """

    email_id: str  # the mail that it is about


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to be written."""

    topic: str  # full name
    key: bytes | None
    value: bytes
    headers: Headers = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of key, value and headers, as the broker counts them against its limit (less framing)."""
        names = sum(len(name.encode()) + len(value) for name, value in self.headers)
        return len(self.key or b"") + len(self.value) + names
