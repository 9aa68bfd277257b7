"""Records as the stream hands them around: what came from a partition, and what goes to a topic."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mailweir.schemas.events import Coordinates
from mailweir.schemas.headers import Headers, TraceParent, traceparent_of
from mailweir.schemas.ids import email_id, trace_id
from mailweir.schemas.topics import RAW, TOPICS

__all__ = ["Kept", "Outgoing", "Partition", "Record", "batch_context"]

_EMAIL_ID = re.compile(rb"[0-9a-f]{64}")
_KEYED_BY_EMAIL = frozenset(topic.name for topic in TOPICS if topic.key == "email id")

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
    def parent(self) -> TraceParent | None:
        """The context that it carries: of the span that wrote it."""
        return traceparent_of(self.headers)

    @property
    def trace(self) -> str | None:
        """Trace id that it carries."""
        return parent.trace if (parent := self.parent) else None

    @property
    def email_id(self) -> str | None:
        """The mail that it is about, where its bytes or its key say so."""
        name, key = self.topic.partition(".")[2], self.key or b""
        if name == RAW.name:  # hashes the mail: for what goes wrong, not for every mail
            return email_id(key.decode("utf-8", "replace"), self.value)
        return key.decode() if name in _KEYED_BY_EMAIL and _EMAIL_ID.fullmatch(key) else None

    def place_context(self) -> dict[str, object]:
        """Fields that say which record a log line is about."""
        return {"topic": self.topic, "partition": self.partition, "offset": self.offset}

    def log_context(self) -> dict[str, object]:
        """The same, and which mail."""
        email = self.email_id
        return self.place_context() | {
            "email_id": email,
            "trace_id": self.trace or (trace_id(email) if email else None),
        }


def batch_context(records: Sequence[Record]) -> dict[str, object]:
    """Fields that say which mails a log line about a batch is about; of one mail they are called as everywhere."""
    found = [record.log_context() for record in records]
    ids = {name: [one[name] for one in found if one[name]] for name in ("email_id", "trace_id")}
    if len(records) == 1:
        return {"mails": 1} | {name: (values or [None])[0] for name, values in ids.items()}
    return {"mails": len(records)} | {f"{name}s": values for name, values in ids.items()}


@dataclass(frozen=True, slots=True)
class Kept:
    """A stage's result for a record that it has put somewhere durable, and of which nothing is to be published.

    The stage must have written it before it says so: once all results of a batch are given, its offsets are committed.
    """

    email_id: str  # the mail that it is about
    about: TraceParent | None = None  # the span that made what it is about


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
