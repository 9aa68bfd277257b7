"""`DeadLetter`: the cause of a reject, carried in headers beside the untouched bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Self

from pydantic import Field

from mailweir.schemas.errors import InvalidEvent
from mailweir.schemas.events.base import Event, UtcTime
from mailweir.schemas.events.mail import Coordinates

__all__ = ["DEAD_PREFIX", "DeadLetter"]

DEAD_PREFIX = "mailweir_dead_"
"""Prefix of the headers that a dead letter adds; all others are the original's, and redriving takes only these away."""

_MESSAGE_CHARACTERS = 2_000  # a header is for reading; stack traces belong in the log


class DeadLetter(Event):
    """Why a record was rejected. The record's value and key are the original's, byte for byte.

    An original that only its producer's compression made fit may not fit here. Then the value is empty, `omitted_bytes` says
    how much is missing, and `source` where it lies.
    """

    ce_type: ClassVar[str] = "mailweir.dead_letter"

    source: Coordinates = Field(description="Where the original lies.")
    stage: str = Field(description="The agent that rejected it: ingest, classify …")
    code: str = Field(description="Stable error code.")
    message: str = Field(description="What was wrong and what to do.")
    attempts: int = Field(ge=1, description="How often the stage tried.")
    trace_id: str = Field(default="", description="Trace of the record, 32 hex digits; empty if it has none.")
    rejected_at: UtcTime = Field(description="When.")
    omitted_bytes: int = Field(
        default=0,
        ge=0,
        description="Bytes of the original that fit only into its own topic; 0: the value is the original's.",
    )

    @property
    def event_id(self) -> str:
        """Coordinates of the original and the stage: rejecting twice is one event."""
        return f"{self.source.topic}:{self.source.partition}:{self.source.offset}:{self.stage}"

    def headers(self) -> list[tuple[str, bytes]]:
        """The cause as Kafka headers."""
        fields = {
            "schema": str(self.schema_version),
            "topic": self.source.topic,
            "partition": str(self.source.partition),
            "offset": str(self.source.offset),
            "stage": self.stage,
            "code": self.code,
            "message": self.message[:_MESSAGE_CHARACTERS],
            "attempts": str(self.attempts),
            "trace_id": self.trace_id,
            "at": self.model_dump(mode="json")["rejected_at"],
        } | ({"omitted_bytes": str(self.omitted_bytes)} if self.omitted_bytes else {})
        return [(DEAD_PREFIX + name, value.encode("utf-8", "replace")) for name, value in fields.items()]

    @classmethod
    def from_headers(cls, headers: Iterable[tuple[str, bytes]]) -> Self:
        """Read the cause back.

        Raises:
            InvalidEvent: the headers are not those of a dead letter.
            UnknownSchemaVersion: the dead letter was written by newer software.
        """
        try:
            found = {k.removeprefix(DEAD_PREFIX): v.decode() for k, v in headers if k.startswith(DEAD_PREFIX)}
            source = {name: found[name] for name in ("topic", "partition", "offset")}
            plain = {name: found[name] for name in ("stage", "code", "message", "attempts", "trace_id")}
            plain |= {name: found[name] for name in ("omitted_bytes",) if name in found}
            version = int(found["schema"])
            return cls.from_json({**plain, "schema": version, "source": source, "rejected_at": found["at"]})
        except KeyError as error:
            raise InvalidEvent(f"not a dead letter: header {DEAD_PREFIX}{error.args[0]} is missing") from error
        except ValueError as error:
            raise InvalidEvent(f"not a dead letter: {error}") from error


def original_headers(headers: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """The headers that the record had before it was rejected."""
    return [(name, value) for name, value in headers if not name.startswith(DEAD_PREFIX)]
