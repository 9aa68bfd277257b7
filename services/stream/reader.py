"""The reader: pull, hand a batch to the agent, wait until it is done, commit exactly its offsets, pull again.

Why faust's own consumer is not used: it went on 19 records too far in a broker failover, and the commit followed
(150 rounds of faults). This one, under the same faults, lost none of 149,125.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from faust.types.channels import ChannelT
from mode import Service

from mailweir.schemas.errors import DeliveryError, DependencyError, MailweirError, TopicMissing
from mailweir.schemas.topics import DEAD
from mailweir.services.stream.batch import Abandoned, Batch, Publisher, agent_ended
from mailweir.services.stream.contact import ContactWatch
from mailweir.services.stream.faults import common_fault, dead_cause, dependency, where
from mailweir.services.stream.gather import Gatherer
from mailweir.services.stream.lag import LagMeter
from mailweir.services.stream.plan import Progress, ReaderPlan
from mailweir.services.stream.proof import Proof
from mailweir.services.stream.record import Partition, Record, batch_context
from mailweir.services.stream.transport import Sink, Source
from mailweir.services.telemetry import Metrics, logger

__all__ = ["Reader"]

log = logger(__name__)

# Tries of a record that makes its stage raise: one with its neighbours, one alone.
_ATTEMPTS = 2
_LOOK_SECONDS = 1.0
_STOP_LOOK_SECONDS = 0.2  # a stop looks so often whether its batch still gets anywhere


class Reader(Service):
    """One stage's member of its consumer group, as a service of the faust app."""

    abstract = False

    def __init__(
        self,
        plan: ReaderPlan,
        source: Source,
        sink: Sink,
        publisher: Publisher,
        channel: ChannelT[Batch],
        gatherer: Gatherer,
        metrics: Metrics,
    ) -> None:
        super().__init__()
        self.plan = plan
        self.progress = Progress()
        self.failed: Callable[[BaseException], None] = lambda _: None  # the host sets it: the worker must stop
        self.committed = source.committed  # the group's next offsets
        self._source = source
        self._sink = sink
        self._publisher = publisher
        self._backoff = plan.backoff
        self._channel = channel
        self._gatherer = gatherer
        self._metrics = metrics
        self._lag = LagMeter(plan.stage, metrics)
        self._proof = Proof(plan.stage, source, metrics)
        self._contact = ContactWatch(plan.stage, plan.bootstrap, source, metrics)
        self._batch: Batch | None = None
        self._in_hand: Sequence[Record] = ()  # in the agent's hands, not yet committed
        self._idle = asyncio.Event()
        self._idle.set()
        self._owned = asyncio.Event()
        self._epoch = 0  # counts revocations: what was pulled under another epoch is not ours to handle

    @property
    def heard_at(self) -> float:
        """Monotonic seconds when the broker last answered."""
        return self._source.contact().answered_at

    def assignment(self) -> tuple[int, frozenset[Partition]]:
        """A number that counts up with each rebalance, and the partitions that are ours; none while one goes on."""
        return self._epoch, frozenset(self._source.lag()) if self._owned.is_set() else frozenset()

    async def on_start(self) -> None:
        """Connect and join the group."""
        self.progress.moved_at = time.monotonic()
        await self._sink.start()
        await self._source.start(self._revoked, self._assigned)

    @Service.task
    async def _run(self) -> None:
        try:
            while not self.should_stop:
                await self._step()
        except DeliveryError as error:
            self._give_up(error)

    @Service.task
    async def _watch(self) -> None:
        """Look after the broker and what comes behind a batch that is held, whatever the loop is waiting for."""
        try:
            while not self.should_stop:
                partitions = self.progress.partitions if self._owned.is_set() else None
                await self._contact.look(time.monotonic(), partitions)
                if self._in_hand and self._owned.is_set():
                    self._report()
                await self.sleep(_LOOK_SECONDS)
        except (DeliveryError, TopicMissing) as error:
            self._give_up(error)

    def _give_up(self, error: MailweirError) -> None:
        log.critical("worker_must_stop", stage=self.plan.stage, code=error.code, error=error.message)
        self.failed(error)

    async def on_stop(self) -> None:
        """Finish the batch in hand, commit it, leave the group; what waits for a broker that is away is not waited for."""
        waiting = asyncio.create_task(self._finish_or_abandon())
        while not waiting.done():
            if self._hopeless():
                waiting.cancel()
                self._abandon()
            await asyncio.wait([waiting], timeout=_STOP_LOOK_SECONDS)
        await asyncio.gather(self._source.stop(), self._sink.stop())

    async def crash(self, reason: BaseException) -> None:
        """A defect in the loop itself: the worker must stop, the offsets stay where they are."""
        self.failed(reason)
        await super().crash(reason)

    async def _step(self) -> None:
        await self._owned.wait()
        records = self._gatherer.close(time.monotonic())
        if records:
            await self._handle(records)
        else:
            await self._pull()
        self._report()

    async def _pull(self) -> None:
        epoch = self._epoch
        now = time.monotonic()
        try:
            pulled = await self._source.pull(self._gatherer.room(), self._gatherer.wait_ms(now))
            await self._proof.verify(pulled, lambda: epoch == self._epoch)
        except DependencyError as error:
            await self._wait_out("pull", 1, error)
            await self._rewind()
            return
        if epoch == self._epoch:
            self._gatherer.add(pulled, time.monotonic())
        else:
            await self._rewind()

    async def _handle(self, records: list[Record]) -> None:
        self._idle.clear()
        epoch, self._in_hand = self._epoch, records
        try:
            self._lag.begin(records)
            self.progress.behind = max(self.progress.behind, len(records))
            await self._deliver(records)
            if not await self._commit(records):
                await self._rewind()
        except Abandoned:
            self._leave(records, epoch)
        finally:
            self._batch, self._in_hand = None, ()
            self._idle.set()

    def _leave(self, records: Sequence[Record], epoch: int) -> None:
        """The batch was given up. Unless its partitions were taken or we stop, the next commit would cover it."""
        if epoch == self._epoch and not self.should_stop:
            raise agent_ended(self.plan.stage)
        log.info("batch_left_to_others", stage=self.plan.stage, **batch_context(records))

    async def _deliver(self, records: Sequence[Record]) -> None:
        """Hand the records to the agent until they are done. Raises Abandoned if they are no longer ours."""
        if error := await self._settle(records, 1):
            await self._isolate(records, error)

    async def _settle(self, records: Sequence[Record], attempt: int) -> BaseException | None:
        """What the agent made of the records: None, or an error that no waiting heals."""
        tries = 0
        while (error := await self._attempt(records, attempt)) and (away := dependency(error)):
            tries += 1
            await self._wait_out("handle", tries, away)
        if isinstance(error, (Abandoned, DeliveryError)):
            raise error
        return error

    async def _attempt(self, records: Sequence[Record], attempt: int) -> BaseException | None:
        started = time.perf_counter()
        self._batch = batch = Batch(records, attempt, self._publisher, self._epoch)
        await self._channel.put(batch)  # type: ignore[arg-type]  # faust calls any value of a channel an event
        error = await batch.outcome
        self._metrics.seconds.labels(self.plan.stage, "handle").observe(time.perf_counter() - started)
        return error

    async def _isolate(self, records: Sequence[Record], error: BaseException) -> None:
        """The stage raised: try each record alone, so that only the guilty ones become dead letters.

        Raises:
            DeliveryError: each of several records fails in the same way; then none of them is to blame.
        """
        log.error("stage_raised", stage=self.plan.stage, error=where(error), **batch_context(records))
        self._metrics.redelivered.labels(self.plan.stage, "raised").inc(len(records))
        guilty = [(record, alone) for record in records if (alone := await self._settle([record], _ATTEMPTS))]
        if fault := common_fault(self.plan.stage, len(records), [cause for _, cause in guilty]):
            raise fault
        for record, cause in guilty:
            await self._bury(record, cause)

    async def _bury(self, record: Record, error: BaseException) -> None:
        self._batch = batch = Batch([record], _ATTEMPTS, self._publisher, self._epoch)
        await batch.publish(DEAD, [dead_cause(self.plan.stage, error)])

    async def _commit(self, records: Sequence[Record]) -> bool:
        """Commit behind the last record of each partition. False if the partitions are no longer ours."""
        offsets = {record.place: record.offset + 1 for record in records}
        tries = 0
        while True:
            try:
                done = await self._source.commit(offsets)
                break
            except DependencyError as error:
                tries += 1
                await self._wait_out("commit", tries, error)
        self._in_hand = ()
        self._metrics.commits.labels(self.plan.stage, "done" if done else "refused").inc()
        if not done:
            self._metrics.redelivered.labels(self.plan.stage, "not_committed").inc(len(records))
            log.warning("commit_came_too_late", stage=self.plan.stage, **batch_context(records))
            return False
        self.progress.moved_at = time.monotonic()
        self.progress.finished += len(records)
        self._lag.finish(records)
        return True

    async def _rewind(self) -> None:
        """Read again from the committed offsets of what is assigned now; what was pulled and dropped would be a hole."""
        self._forget()
        epoch, tries = self._epoch, 0
        while epoch == self._epoch and not self.should_stop:  # a new assignment begins at the committed offsets anyway
            try:
                for place, offset in (await self._source.committed(tuple(self._source.lag()))).items():
                    self._source.seek(place, offset)
                break
            except DependencyError as error:
                tries += 1
                await self._wait_out("rewind", tries, error)

    def _forget(self) -> None:
        self._gatherer.clear()
        self._proof.forget()

    async def _revoked(self, places: frozenset[Partition]) -> None:
        """Partitions are about to be taken: finish and commit the batch in hand first."""
        self._owned.clear()
        self._epoch += 1
        self._forget()
        await self._finish_or_abandon()
        self._lag.forget(places)

    async def _assigned(self, places: frozenset[Partition]) -> None:
        self._metrics.rebalances.labels(self.plan.stage).inc()
        self._metrics.partitions.labels(self.plan.stage).set(len(places))
        log.info("partitions_assigned", stage=self.plan.stage, partitions=sorted(p for _, p in places))
        self.progress.assigned, self.progress.partitions = True, len(places)
        self._owned.set()

    async def _finish_or_abandon(self) -> None:
        try:
            await asyncio.wait_for(self._idle.wait(), self.plan.rebalance_wait_ms / 1_000)
        except TimeoutError:
            self._abandon()

    def _abandon(self) -> None:
        log.warning("batch_abandoned", stage=self.plan.stage, **batch_context(self._in_hand))
        if self._batch:
            self._batch.abandon()

    def _hopeless(self) -> bool:
        """Whether the batch in hand waits for something that is away."""
        held = self._batch is not None and self._batch.held
        return not self._idle.is_set() and (held or self._contact.hopeless(time.monotonic()))

    async def _wait_out(self, step: str, tries: int, error: DependencyError) -> None:
        self._metrics.retries.labels(self.plan.stage, step).inc()
        context = batch_context(self._batch.records) if self._batch else {}
        log.warning("dependency_away", stage=self.plan.stage, step=step, tries=tries, error=error.message, **context)
        if self._batch:
            self._batch.held = True
        await self._backoff.pause(tries)
        if self._batch:
            self._batch.raise_if_abandoned()

    def _report(self) -> None:
        self.progress.behind = self._lag.report(self._source.lag(), [*self._in_hand, *self._gatherer.waiting()])
        if not self.progress.behind:
            self.progress.moved_at = time.monotonic()
