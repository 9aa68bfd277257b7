"""What the feedback agent holds open: the ledger, the way to Kafka's logs, and the clock that closes shards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from mailweir.models.feedback import FeedbackRow
from mailweir.schemas.errors import DeliveryError, DependencyError, RecordError, SetupError
from mailweir.schemas.events import Feedback, ShardClosed, utc_now
from mailweir.schemas.headers import TraceParent
from mailweir.services.app import Host, Part
from mailweir.services.feedback.find import Finder, Found
from mailweir.services.feedback.join import check, check_time, joined, withdrawal
from mailweir.services.feedback.ledger import Ledger, Pages
from mailweir.services.feedback.names import Shard
from mailweir.services.feedback.redaction import Redaction
from mailweir.services.feedback.shards import Cause, ShardLimits, announcement, record_of
from mailweir.services.feedback.store import Store
from mailweir.services.feedback.verdicts import VerdictCounter
from mailweir.services.runs.contexts import shard_log_context
from mailweir.services.stream import Batch, Kept, Partition, Record, Result, decode_all, sent_span
from mailweir.services.telemetry import logger, note_ages

__all__ = ["STAGE", "Keeper"]

STAGE = "feedback"

log = logger(__name__)

T = TypeVar("T")

_LOOK_SECONDS = 1.0
# A store that hangs is a store that is away; its own clients give up after about a minute.
_STORE_SECONDS = 90.0
_COMMITTED_SECONDS = 10.0


class Keeper(Part):
    """Takes in batches and closes shards, never both at once."""

    def __init__(self, host: Host, redaction: Redaction, verdicts: VerdictCounter) -> None:
        super().__init__()
        self._verdicts = verdicts
        self._ledger = Ledger(Store(host.settings.ledger))
        self._limits = ShardLimits.of(host.settings)
        self._finder = Finder(host.stream.lookup(), host.settings)
        self._sink = host.stream.sink()
        self._prefix = host.settings.topic_prefix
        self._redaction = redaction
        self._metrics = host.metrics
        self._host = host
        self._pages: dict[Partition, Pages] = {}
        self._assignment = -1  # what the pages were read under
        self._causes: dict[Shard, Cause] = {}  # of shards that this process closed and has not announced
        self._lock = asyncio.Lock()

    async def on_start(self) -> None:
        """Connect the producer of announcements."""
        await self._sink.start()
        log.info("ledger_opened", uri=self._ledger.store.uri(), redaction=self._redaction.names)

    async def on_stop(self) -> None:
        """Disconnect; what is durable stays, what is not is read again."""
        await asyncio.gather(self._finder.stop(), self._sink.stop())

    async def keep(self, batch: Batch) -> list[Result]:
        """Make the good words of a batch durable; one result per record, in order.

        Raises:
            DependencyError: Kafka or the store is away. Nothing is lost: what was written is recognised the next time.
            Abandoned: the partitions went elsewhere; nothing was written.
        """
        held = await self._held(batch)
        words = [_timely(*pair) for pair in zip(batch.records, decode_all(batch.records, Feedback), strict=True)]
        started = time.perf_counter()
        fresh = [(record.place, record.offset) not in held for record in batch.records]
        with batch.step("find"):
            results = await self._rows(batch.records, words, fresh)
        self._metrics.seconds.labels(STAGE, "find").observe(time.perf_counter() - started)
        batch.raise_if_abandoned()
        with batch.step("keep"):
            await self._append(batch, [row for row, _ in results if isinstance(row, FeedbackRow)])
        return [
            result if isinstance(result, RecordError) else Kept(result.email_id, about) for result, about in results
        ]

    async def _held(self, batch: Batch) -> set[tuple[Partition, int]]:
        """Where of a batch the ledger has rows already: they were written, and the worker died before it committed."""
        async with self._lock:
            found: set[tuple[Partition, int]] = set()
            for place, records in _by_place(batch.records).items():
                pages = await self._turned(place, batch.assignment)
                numbers = [record.offset for record in records]
                found |= {(place, one) for one in await self._stored(self._ledger.held, pages, numbers)}
        if found:
            self._metrics.redelivered.labels(STAGE, "in_ledger").inc(len(found))
        return found

    async def _rows(
        self, records: Sequence[Record], words: Sequence[Feedback | RecordError], fresh: Sequence[bool]
    ) -> list[tuple[FeedbackRow | Feedback | RecordError, TraceParent | None]]:
        """Per record its row, or why there is none, and the span that decided; the word itself if the ledger has it."""
        asked = [
            word
            for word, new in zip(words, fresh, strict=True)
            if new and isinstance(word, Feedback) and not _only_withdraws(word)
        ]
        found = iter(await self._finder.find(asked) if asked else [])
        rows: list[tuple[FeedbackRow | Feedback | RecordError, TraceParent | None]] = []
        for record, word, new in zip(records, words, fresh, strict=True):
            if isinstance(word, RecordError) or not new:
                rows.append((word, None))
            elif _only_withdraws(word):
                rows.append((withdrawal(word, record.coordinates), None))
            else:
                about = next(found)
                rows.append((self._row(record, word, about), about.made if isinstance(about, Found) else None))
        return rows

    def _row(self, record: Record, word: Feedback, found: Found | RecordError) -> FeedbackRow | RecordError:
        if isinstance(found, RecordError):
            return found
        try:
            check(word, found.decision, found.email)
        except RecordError as error:
            error.detail.setdefault("email_id", word.email_id)
            return error
        return joined(word, record.coordinates, found.decision, found.email, self._redaction)

    async def _append(self, batch: Batch, rows: Sequence[FeedbackRow]) -> None:
        started = time.perf_counter()
        async with self._lock:
            for place in sorted({(row.topic, row.partition) for row in rows}):
                pages = await self._turned(place, batch.assignment)
                batch.raise_if_abandoned()
                mine = [row for row in rows if (row.topic, row.partition) == place]
                try:
                    await self._stored(self._ledger.append, pages, mine)
                except DependencyError:
                    self._pages.pop(place, None)  # what is there is looked at again
                    raise
                self._count(mine)  # now: if the next partition fails, the ledger has these, and they are not new again
        self._metrics.seconds.labels(STAGE, "keep").observe(time.perf_counter() - started)

    def _count(self, rows: Sequence[FeedbackRow]) -> None:
        self._verdicts.kept(rows)
        note_ages(self._metrics, STAGE, [row.given_at for row in rows])
        for row in rows:
            self._metrics.feedback.labels(row.origin).inc()

    async def _turned(self, place: Partition, assignment: int) -> Pages:
        """The pages of a partition, read anew after each rebalance. Under the lock."""
        if assignment > self._assignment:
            self._pages.clear()
            self._assignment = assignment
        if place not in self._pages:
            self._pages[place] = await self._stored(self._ledger.turn_to, place)
        return self._pages[place]

    @Part.task
    async def _look_after_shards(self) -> None:
        while not self.should_stop:
            try:
                await self._close_shards()
                await self._announce()
            except (DependencyError, SetupError, TimeoutError) as error:
                self._metrics.retries.labels(STAGE, "shard").inc()
                log.warning("shards_wait", error=str(error) or type(error).__name__)
            except DeliveryError as error:
                self._host.stop_because(error)
            await self.sleep(_LOOK_SECONDS)

    @Part.task
    async def _measure_disk(self) -> None:
        while not self.should_stop:
            with suppress(DependencyError):  # what keeps a shard from being closed is told there
                if room := await self._stored(self._ledger.store.room):
                    self._metrics.ledger_size.set(room.total)
                    self._metrics.ledger_free.set(room.free)
            await self.sleep(_LOOK_SECONDS)

    async def crash(self, reason: BaseException) -> None:
        """A defect of ours: the worker must stop, the offsets stay where they are."""
        self._host.stop_because(reason)
        await super().crash(reason)

    async def _close_shards(self) -> None:
        reader = next(reader for reader in self._host.stream.readers if reader.plan.stage == STAGE)
        assignment, places = reader.assignment()
        self._metrics.shard_fill.clear()  # what went elsewhere is told there
        for place in sorted(places):
            due = await self._due(place, assignment)
            self._metrics.shard_fill.labels(place[0], str(place[1])).set(self._filled(place))
            if due:
                committed = await asyncio.wait_for(reader.committed([place]), _COMMITTED_SECONDS)
                while await self._close(place, assignment, committed[place]):  # a backlog makes several
                    pass

    def _filled(self, place: Partition) -> float:
        pages = self._pages.get(place)
        return self._limits.share(pages) if pages else 0.0

    async def _due(self, place: Partition, assignment: int) -> Cause | None:
        async with self._lock:
            if assignment < self._assignment:
                return None
            return self._limits.reached(await self._turned(place, assignment), utc_now())

    async def _close(self, place: Partition, assignment: int, committed: int) -> bool:
        """Only what was committed goes into a shard: behind it a batch may still come back and add to the ledger."""
        cause = await self._due(place, assignment)
        async with self._lock:
            if cause is None or assignment != self._assignment:
                return False
            closed = await self._stored(self._ledger.close, self._pages[place], committed, self._limits.rows)
        if closed is None:
            return False
        shard, changed = closed
        self._causes[shard] = "taxonomy" if changed else cause
        self._metrics.shards.labels(self._causes[shard]).inc()
        log.info("shard_closed", cause=self._causes[shard], **shard_log_context(shard.shard_id))
        return True

    async def _announce(self) -> None:
        """Say what is closed; what was said is noted beside the shard, so that a restart says only what was not."""
        for pages in list(self._pages.values()):
            while pages.unannounced:
                shard = pages.unannounced[0]
                event = await self._stored(
                    announcement, self._ledger.store, shard, self._limits, self._causes.get(shard)
                )
                await self._say(event)
                await self._stored(self._ledger.store.create, shard.announcement, event.encode())
                pages.unannounced.remove(shard)
                self._causes.pop(shard, None)
                context = shard_log_context(shard.shard_id)
                log.info("shard_announced", rows=event.rows, bytes=event.bytes, **context)

    async def _say(self, event: ShardClosed) -> None:
        traces, begun = self._host.traces, time.time_ns()
        record = record_of(event, STAGE, self._prefix, sampled=traces.on)
        await self._sink.send([record])
        if traces.on:
            traces.record(sent_span(record, STAGE, begun))

    async def _stored(self, call: Callable[..., T], *arguments: Any) -> T:
        try:
            return await asyncio.wait_for(asyncio.to_thread(call, *arguments), _STORE_SECONDS)
        except TimeoutError as error:
            raise DependencyError(f"the ledger did not answer within {_STORE_SECONDS:.0f} s") from error


def _timely(record: Record, word: Feedback | RecordError) -> Feedback | RecordError:
    if isinstance(word, RecordError):
        return word
    try:
        check_time(word, record.time)
    except RecordError as error:
        error.detail.setdefault("email_id", word.email_id)
        return error
    return word


def _only_withdraws(word: Feedback) -> bool:
    """It needs neither mail nor decision: taking a word back must be possible after the mail is gone."""
    return word.withdraws is not None and word.says_nothing


def _by_place(records: Sequence[Record]) -> Mapping[Partition, list[Record]]:
    found: dict[Partition, list[Record]] = {}
    for record in records:
        found.setdefault(record.place, []).append(record)
    return found
