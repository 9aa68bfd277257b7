"""What a stage makes of a record: the next topic's record, or a dead letter with the original bytes and the cause."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailweir.schemas.errors import OutputTooLarge, RecordError
from mailweir.schemas.events import DeadLetter, Event, original_headers, utc_now
from mailweir.schemas.headers import TraceParent, event_headers
from mailweir.schemas.ids import trace_id
from mailweir.schemas.topics import DEAD, Topic
from mailweir.services.stream.record import Kept, Outgoing, Record
from mailweir.services.telemetry import Traces

__all__ = ["FRAMING", "Result", "Writer", "lineage", "subject_of"]

Result = Event | RecordError | Kept
"""What a stage makes of one record: something to publish, a reject, or nothing to publish because it is kept elsewhere."""

# Record batch framing (61 bytes), record framing and varints, with room to spare.
FRAMING = 1_024
# Key and headers that a dead letter keeps when its value is left out.
_NOTE_BYTES = 64 * 1024


def subject_of(record: Record, result: Result) -> str:
    """The email id that a result is about; empty if nobody could tell."""
    if isinstance(result, Kept):
        return result.email_id
    if isinstance(result, RecordError):
        return str(result.detail.get("email_id") or record.email_id or "")
    return str(getattr(result, "email_id", result.event_id))


def lineage(record: Record, result: Result, subject: str) -> tuple[TraceParent | None, str]:
    """What a result follows from, and its trace; empty if nobody could tell.

    What the record carries, unless nobody recorded that and it is known what the record is about: a word of a person joins the
    trace of the mail, and the two can be days apart.
    """
    parent, about = record.parent, result.about if isinstance(result, Kept) else None
    if about and not (parent and parent.sampled):
        parent = about
    return parent, parent.trace if parent else trace_id(subject)


@dataclass(frozen=True, slots=True)
class Writer:
    """Turns results of `stage` into outgoing records under `prefix`."""

    stage: str
    prefix: str
    traces: Traces = field(default_factory=Traces)

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
            trace_id=lineage(record, error, subject_of(record, error))[1],
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
        parent, trace = lineage(record, event, subject)
        headers = event_headers(event, self.stage, self.traces.context(parent, trace, self.stage, subject))
        return Outgoing(topic.full_name(self.prefix), subject.encode(), event.encode(), headers)
