"""A batch in an agent's hands. Leaving it means: outputs confirmed, rejects in `mail.dead`, or nothing happened at all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from mailweir.schemas.errors import AgentEnded, DependencyError, OutputTooLarge, RecordError, WriteRefused
from mailweir.schemas.topics import Topic
from mailweir.services.stream.backoff import Backoff
from mailweir.services.stream.breaker import RejectBreaker
from mailweir.services.stream.letters import Result, Writer, lineage, subject_of
from mailweir.services.stream.record import Kept, Outgoing, Record, batch_context
from mailweir.services.stream.spans import Handled, StageSpans
from mailweir.services.stream.transport import Sink
from mailweir.services.telemetry import Metrics, logger

__all__ = ["Abandoned", "Batch", "Publisher", "Result", "agent_ended"]

log = logger(__name__)


class Abandoned(Exception):
    """The batch's partitions go elsewhere or the worker stops; whoever reads it next does it again."""


def agent_ended(stage: str) -> AgentEnded:
    """The error for an agent whose loop is over while mail is still coming."""
    return AgentEnded(
        f"the agent {stage} ended, maybe in the middle of a batch, because something in it was cancelled or its loop returned. "
        "Nothing of that batch was committed; start the worker again, it resumes from the committed offset.",
        stage=stage,
    )


class Publisher:
    """Publishes the results of one stage, waiting out a broker that is away."""

    def __init__(
        self,
        writer: Writer,
        sink: Sink,
        breaker: RejectBreaker,
        metrics: Metrics,
        backoff: Backoff,
        spans: StageSpans,
    ) -> None:
        self._writer = writer
        self._sink = sink
        self._breaker = breaker
        self._metrics = metrics
        self._backoff = backoff
        self._spans = spans
        self._age = metrics.mail_age.labels(writer.stage)
        metrics.mails.labels(writer.stage, "published")  # a counter that begins at 1 shows no increase
        metrics.mails.labels(writer.stage, "rejected")
        for kind in RecordError.__subclasses__():
            metrics.rejects.labels(writer.stage, kind.code)

    async def publish(self, batch: Batch, topic: Topic, results: Sequence[Result]) -> None:
        """Write one result per record of the batch and wait for the confirmation; what is kept elsewhere writes nothing."""
        outgoing = [self._outgoing(batch, topic, *pair) for pair in zip(batch.records, results, strict=True)]
        codes = [self._code(result, item) for result, item in zip(results, outgoing, strict=True)]
        self._breaker.count(codes)
        started, sending_ns = time.perf_counter(), time.time_ns()
        await self._send(batch, [item for item in outgoing if item is not None])
        self._metrics.seconds.labels(self._writer.stage, "publish").observe(time.perf_counter() - started)
        handled = [Handled(*each) for each in zip(batch.records, results, outgoing, codes, strict=True)]
        for one in handled:
            self._account(one)
        self._spans.published(batch, handled, sending_ns)

    def _outgoing(self, batch: Batch, topic: Topic, record: Record, result: Result) -> Outgoing | None:
        if isinstance(result, Kept):
            return None
        return self._writer.result(record, topic, result, batch.attempt)

    async def _send(self, batch: Batch, outgoing: Sequence[Outgoing]) -> None:
        tries = 0
        while (error := await self._try(batch, outgoing)) is not None:
            tries += 1
            self._metrics.retries.labels(self._writer.stage, "publish").inc()
            about = batch_context(batch.records)
            log.warning("publish_retried", stage=self._writer.stage, tries=tries, error=error.message, **about)
            await self._backoff.pause(tries)

    async def _try(self, batch: Batch, outgoing: Sequence[Outgoing]) -> DependencyError | None:
        batch.raise_if_abandoned()
        try:
            if outgoing:
                await self._put(batch, outgoing)
        except DependencyError as error:
            batch.held = True
            return error
        batch.held = False
        return None

    async def _put(self, batch: Batch, outgoing: Sequence[Outgoing]) -> None:
        try:
            await self._sink.send(outgoing)
        except WriteRefused as error:
            await self._sink.send(self._shortened(batch, outgoing, error))

    def _shortened(self, batch: Batch, outgoing: Sequence[Outgoing], refused: WriteRefused) -> list[Outgoing]:
        """The same without the bytes of dead letters that compression did not make fit.

        Raises:
            WriteRefused: there is none; the topic takes less than the table says, and good mail must not pay for it.
        """
        shorter = [self._writer.fitting(item) for item in outgoing]
        if shorter == list(outgoing):
            raise refused
        about = batch_context(batch.records)
        log.warning("dead_letter_without_its_bytes", stage=self._writer.stage, error=refused.message, **about)
        return shorter

    def _code(self, result: Result, outgoing: Outgoing | None) -> str | None:
        """Why a record is rejected; None if it is not."""
        if isinstance(result, RecordError):
            return result.code
        return OutputTooLarge.code if outgoing is not None and self._writer.is_dead(outgoing) else None

    def _account(self, one: Handled) -> None:
        stage, record, code = self._writer.stage, one.record, one.code
        good = "kept" if isinstance(one.result, Kept) else "published"
        self._metrics.mails.labels(stage, "rejected" if code else good).inc()
        self._age.observe(max(time.time() - record.timestamp_ms / 1_000, 0.0))
        email = subject_of(record, one.result)
        about = {"stage": stage, "email_id": email, "trace_id": lineage(record, one.result, email)[1]}
        context = record.place_context() | about
        if code is None:
            log.debug(good, **context)
            return
        self._metrics.rejects.labels(stage, code).inc()
        log.warning("rejected", code=code, **context)


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a batch's work."""

    name: str
    begun_ns: int  # since 1970
    ended_ns: int


class Batch:
    """Records to handle together, exactly once around `async with`.

    `outcome` resolves to None when all is published, else to the exception that the body raised. The exception does not
    leave the `async with`: the reader decides what becomes of the records.
    """

    def __init__(self, records: Sequence[Record], attempt: int, publisher: Publisher, assignment: int = 0) -> None:
        self.records = tuple(records)
        self.attempt = attempt
        self.assignment = assignment  # counts up with each rebalance: what a stage knew of a partition before is stale
        self.outcome: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self._publisher = publisher
        self.begun_ns = time.time_ns()
        self.steps: list[Step] = []
        self.held = False  # waits for something that is away
        self._published = False
        self._abandoned = False

    async def publish(self, topic: Topic, results: Sequence[Result]) -> None:
        """Give one result for each record, in the same order: an event for `topic`, an error for `mail.dead`, or `Kept`.

        Raises:
            ValueError: not as many results as records.
            RejectRatioExceeded: too many rejects lately; nothing was published.
            WriteRefused: a topic takes less than the table says.
        """
        await self._publisher.publish(self, topic, results)
        self._published = True

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A part of the work, for the batch's trace."""
        begun = time.time_ns()
        yield
        self.steps.append(Step(name, begun, time.time_ns()))

    def abandon(self) -> None:
        """Give the batch up uncommitted; what it still does has no effect on offsets."""
        self._abandoned = True
        if not self.outcome.done():
            self.outcome.set_result(Abandoned())

    def raise_if_abandoned(self) -> None:
        """Stop work that nobody waits for."""
        if self._abandoned:
            raise Abandoned

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None and not self._published:
            error = RuntimeError("a batch was left without publishing a result for each record")
        if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            self.abandon()
            return False
        if not self.outcome.done():
            self.outcome.set_result(error)
        return error is None or isinstance(error, Exception)
