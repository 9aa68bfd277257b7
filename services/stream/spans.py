"""Spans of a stage: one for each mail, in the mail's trace; one for each batch, which links its mails; its steps and writes below it.

Names, kinds and attributes as OpenTelemetry's semantic conventions for messaging and Kafka have them; what is ours begins
with `mailweir.`. A key is never among them: on `mail.raw` it is a mailbox.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from mailweir.schemas.errors import RecordError
from mailweir.schemas.events import Decision, Event
from mailweir.schemas.headers import TraceParent, traceparent_of
from mailweir.schemas.ids import digest, trace_id
from mailweir.services.settings import Settings
from mailweir.services.stream.connection import client_id
from mailweir.services.stream.letters import Result, lineage, subject_of
from mailweir.services.stream.record import Kept, Outgoing, Record
from mailweir.services.telemetry import Collector, Metrics, Span, Traces, open_traces, own_context

if TYPE_CHECKING:
    from mailweir.services.stream.batch import Batch

__all__ = ["Handled", "StageSpans", "sent_span", "traces_of"]


def traces_of(settings: Settings, metrics: Metrics) -> Traces:
    """Where this process's spans go.

    Raises:
        SetupError: packages that send them are not installed.
    """
    resource = {
        "service.name": "mailweir",
        "service.version": version("mailweir"),
        "service.instance.id": client_id(settings),
    }
    secret = settings.otlp_headers.get_secret_value()
    return open_traces(Collector(settings.otlp_endpoint, secret, settings.otlp_ratio, resource), metrics)


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of one record of a batch."""

    record: Record
    result: Result
    outgoing: Outgoing | None
    code: str | None  # why it was rejected


class StageSpans:
    """Makes the spans of one stage."""

    def __init__(self, traces: Traces, stage: str, settings: Settings) -> None:
        self.traces = traces
        self._stage = stage
        self._fields: dict[str, str | int] = {
            "messaging.system": "kafka",
            "messaging.client.id": client_id(settings, stage),
            "messaging.consumer.group.name": f"{settings.group_prefix}.{stage}",
            "mailweir.stage": stage,
        }

    def published(self, batch: Batch, handled: Sequence[Handled], sending_ns: int) -> None:
        """The batch is done: everything is confirmed. `sending_ns` is when writing began."""
        if not self.traces.on:
            return
        ended, about = time.time_ns(), own_context()
        mails = [span for one in handled if (span := self.mail(one, batch.begun_ns, ended, batch.attempt, about))]
        if not mails:
            return
        for span in (
            *mails,
            *self._batch(batch, handled, about, ended, mails),
            *self._sends(handled, about, sending_ns, ended),
        ):
            self.traces.record(span)

    def mail(
        self, one: Handled, begun_ns: int, ended_ns: int, attempt: int = 1, batch: TraceParent | None = None
    ) -> Span | None:
        """The span of one record; None if its trace is not recorded."""
        record, subject = one.record, subject_of(one.record, one.result)
        parent, trace = lineage(record, one.result, subject)
        wire = traceparent_of(one.outgoing.headers) if one.outgoing and one.code is None else None
        place = f"{record.topic}/{record.partition}/{record.offset}"
        trace = trace or trace_id(digest("record", place))
        context = wire or self.traces.context(parent, trace, self._stage, place)
        if not self.traces.on or not context.sampled:
            return None
        told = one.result.about if isinstance(one.result, Kept) else None
        return Span(
            f"process {record.topic}",
            "consumer",
            context,
            begun_ns,
            ended_ns,
            parent,
            self._process(record) | {"mailweir.attempt": attempt} | _of_mail(subject) | _of_result(one.result),
            tuple(link for link in (batch, told) if link and link != parent),
            one.code or "",
        )

    def _process(self, record: Record) -> dict[str, str | int]:
        return self._fields | {
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": record.topic,
            "messaging.destination.partition.id": str(record.partition),
            "messaging.kafka.offset": record.offset,
            "messaging.message.body.size": len(record.value),
        }

    def _batch(
        self, batch: Batch, handled: Sequence[Handled], about: TraceParent, ended: int, mails: Sequence[Span]
    ) -> list[Span]:
        topic = handled[0].record.topic
        fields = self._fields | {
            "messaging.operation.name": "process_batch",
            "messaging.operation.type": "process",
            "messaging.destination.name": topic,
            "messaging.batch.message_count": len(handled),
            "mailweir.rejected": sum(one.code is not None for one in handled),
        }
        links = tuple(span.context for span in mails)
        whole = Span(f"process_batch {topic}", "consumer", about, batch.begun_ns, ended, None, fields, links)
        stage = {"mailweir.stage": self._stage}
        steps = [
            Span(step.name, "internal", own_context(about.trace), step.begun_ns, step.ended_ns, about, stage)
            for step in batch.steps
        ]
        return [whole, *steps]

    def _sends(self, handled: Sequence[Handled], about: TraceParent, begun: int, ended: int) -> list[Span]:
        """A write of a batch; what each record of it carries is the context of its mail's span, so these are no producers."""
        topics = Counter(one.outgoing.topic for one in handled if one.outgoing)
        return [
            Span(f"send {topic}", "client", own_context(about.trace), begun, ended, about, self._send(topic, count))
            for topic, count in topics.items()
        ]

    def _send(self, topic: str, count: int) -> Mapping[str, str | int]:
        fields = {name: value for name, value in self._fields.items() if name != "messaging.consumer.group.name"}
        return fields | _send_fields(topic) | {"messaging.batch.message_count": count}


def sent_span(
    outgoing: Outgoing, stage: str, begun_ns: int, links: Sequence[TraceParent] = (), error: str = ""
) -> Span:
    """The write of a record that follows from no single other one: it carries the context of this span."""
    context = traceparent_of(outgoing.headers)
    if context is None:
        raise ValueError("the record carries no context")
    fields = {"messaging.system": "kafka", "mailweir.stage": stage} | _send_fields(outgoing.topic)
    ended = time.time_ns()
    return Span(f"send {outgoing.topic}", "producer", context, begun_ns, ended, None, fields, tuple(links), error)


def _send_fields(topic: str) -> dict[str, str | int]:
    return {
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": topic,
    }


def _of_mail(email: str) -> dict[str, str | int]:
    return {"mailweir.email_id": email} if email else {}


def _of_result(result: Event | RecordError | Kept) -> dict[str, str | int | float | bool]:
    if not isinstance(result, Decision):
        return {}
    return {
        "mailweir.decision_id": result.decision_id,
        "mailweir.model.name": result.model.name,
        "mailweir.model.version": result.model.version,
        "mailweir.tier": result.tier,
        "mailweir.needs_review": result.needs_review,
        **{f"mailweir.{step}_ms": milliseconds for step, milliseconds in result.timings_ms.items()},
    }
