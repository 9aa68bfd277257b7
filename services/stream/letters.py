"""What a stage makes of a record: the next topic's record, or a dead letter with the original bytes and the cause."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailweir.schemas.errors import OutputTooLarge, RecordError
from mailweir.schemas.events import DeadLetter, Event, original_headers, utc_now
from mailweir.schemas.headers import child_traceparent, event_headers
from mailweir.schemas.ids import trace_id
from mailweir.schemas.topics import DEAD, Topic
from mailweir.services.stream.record import Kept, Outgoing, Record

__all__ = ["FRAMING", "Writer", "subject_of"]

# Record batch framing (61 bytes), record framing and varints, with room to spare.
FRAMING = 1_024
# Key and headers that a dead letter keeps when its value is left out.
_NOTE_BYTES = 64 * 1024


_EMAIL_ID = re.compile(rb"[0-9a-f]{64}")


def subject_of(record: Record, result: Event | RecordError | Kept) -> str:
    """The email id that a result is about; empty if nobody could tell."""
    if isinstance(result, Kept):
        return result.email_id
    if isinstance(result, RecordError):
        key = record.key.decode() if record.key and _EMAIL_ID.fullmatch(record.key) else ""
        return str(result.detail.get("email_id", key))
    return str(getattr(result, "email_id", result.event_id))


@dataclass(frozen=True, slots=True)
class Writer:
    """Turns results of `stage` into outgoing records under `prefix`."""

    stage: str
    prefix: str

    def result(self, record: Record, topic: Topic, result: Event | RecordError, attempt: int) -> Outgoing:
        """The record for `topic`, or a dead letter if the result is an error or does not fit."""
        if isinstance(result, RecordError):
            return self.dead_letter(record, result, attempt)
        outgoing = self._event(record, topic, result)
        if outgoing.size + FRAMING <= topic.max_record_bytes:
            return outgoing
        message = f"{self.stage} made {outgoing.size} bytes of it, {topic.name} takes {topic.max_record_bytes}"
        return self.dead_letter(record, OutputTooLarge(message, size=outgoing.size), attempt)

    def dead_letter(self, record: Record, error: RecordError, attempt: int) -> Outgoing:
        """The untouched record for `mail.dead`, its own headers and the cause."""
        letter = DeadLetter(
            source=record.coordinates,
            stage=self.stage,
            code=error.code,
            message=error.message,
            attempts=attempt,
            trace_id=record.trace or trace_id(subject_of(record, error)),
            rejected_at=utc_now(),
        )
        headers = [*original_headers(record.headers), *letter.headers()]
        return Outgoing(DEAD.full_name(self.prefix), record.key, record.value, headers)

    def fitting(self, outgoing: Outgoing) -> Outgoing:
        """The record itself, or of a dead letter above its topic's limit the cause and the coordinates only."""
        if not self.is_dead(outgoing) or outgoing.size + FRAMING <= DEAD.max_record_bytes:
            return outgoing
        cause = DeadLetter.from_headers(outgoing.headers).model_copy(update={"omitted_bytes": len(outgoing.value)})
        small = outgoing.size - len(outgoing.value) <= _NOTE_BYTES
        headers = original_headers(outgoing.headers) if small else []
        return Outgoing(outgoing.topic, outgoing.key if small else None, b"", [*headers, *cause.headers()])

    def is_dead(self, outgoing: Outgoing) -> bool:
        """True for a dead letter."""
        return outgoing.topic == DEAD.full_name(self.prefix)

    def _event(self, record: Record, topic: Topic, event: Event) -> Outgoing:
        subject = subject_of(record, event)
        trace = record.trace or trace_id(subject)
        headers = event_headers(event, self.stage, child_traceparent(trace, self.stage, subject))
        return Outgoing(topic.full_name(self.prefix), subject.encode(), event.encode(), headers)
