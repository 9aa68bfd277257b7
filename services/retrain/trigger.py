"""The trigger: reads what happened, judges, and asks for a run or says why not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from mailweir.schemas.errors import BundleError, DependencyError, RegistryError
from mailweir.schemas.events import RetrainRequested, ShardClosed, utc_now
from mailweir.services.app import Host, Part
from mailweir.services.retrain.counts import CountShard
from mailweir.services.retrain.demote import Demoter
from mailweir.services.retrain.evidence import CountedShard, Counter, gather
from mailweir.services.retrain.policy import Verdict, judge
from mailweir.services.retrain.request import Champion, record_of, request_run
from mailweir.services.retrain.rules import Limits
from mailweir.services.retrain.verdicts import GateVerdicts
from mailweir.services.runs.contexts import run_log_context, shard_contexts
from mailweir.services.runs.reader import HistoryReader
from mailweir.services.runs.records import promotion_record
from mailweir.services.stream import sent_span
from mailweir.services.telemetry import logger

__all__ = ["STAGE", "Trigger"]

log = logger(__name__)

STAGE = "retrain"


class Trigger(Part):
    """Judges when a shard closes, and from time to time. Decides nothing before it has read both topics to their ends."""

    abstract = False

    def __init__(
        self,
        host: Host,
        count: CountShard,
        champion: Callable[[], Champion],
        demoter: Demoter | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__()
        self._host = host
        self._limits = Limits.of(host.settings)
        self._reader = HistoryReader.of(host.stream, self._limits.timeout)
        self._sink = host.stream.sink()
        self._counter = Counter(count)
        self._champion = champion
        self._demoter = demoter
        self._verdicts = GateVerdicts(host.metrics)
        self._clock = clock
        self._turn = asyncio.Lock()  # one judgement at a time: the next must see what the last one asked for
        self._said: tuple[str, ...] = ()  # why the last one refused: a line is logged when that changes

    async def on_start(self) -> None:
        """Connect the producer."""
        self._champion()  # a bundle that cannot be read is said at the start
        await self._sink.start()

    async def on_stop(self) -> None:
        """Disconnect."""
        await asyncio.gather(self._sink.stop(), self._reader.stop())

    async def crash(self, reason: BaseException) -> None:
        """A defect of ours: the worker must stop; it would go on ready, and do nothing."""
        self._host.stop_because(reason)
        await super().crash(reason)

    async def consider(self) -> Verdict:
        """Judge now. A run that is called for is asked for before this returns.

        Raises:
            DependencyError: broker, store or registry are away; nothing was decided.
        """
        async with self._turn:
            history, now = await self._reader.catch_up(), self._clock()
            self._verdicts.count(history)
            await self._try_champion(list(history.shards.values()), now)
            champion = self._present()
            evidence, shards = await asyncio.to_thread(gather, history, self._counter, champion, now)
            verdict = judge(evidence, self._limits)
            self._measure(evidence.fresh.human, open_run=evidence.open_run is not None)
            if not verdict.run:
                self._refuse(verdict)
                return verdict
            after = history.last.request.run_id if history.last else ""
            await self._ask(_request(champion, shards, after, verdict, now), verdict)
            return verdict

    def _present(self) -> Champion:
        """A registry that was there at the start and cannot be read now is waited for."""
        try:
            return self._champion()
        except (RegistryError, BundleError) as error:
            raise DependencyError(error.message) from error

    async def _try_champion(self, shards: Sequence[ShardClosed], now: datetime) -> None:
        """Demote the champion if people's words call for it: what is judged next is the one before it."""
        if self._demoter is None:
            return
        counts = await asyncio.to_thread(lambda: [found for one in shards if (found := self._counter.of(one))])
        made = await asyncio.to_thread(self._demoter.look, counts, now)
        if made is None:
            return
        place = self._demoter.registry.folder(made.model)
        try:
            await self._sink.send([promotion_record(made, place, self._host.settings.topic_prefix)])
        except DependencyError as error:  # workers watch the pointer, which is the truth
            log.warning("demotion_not_announced", version=made.model.version, error=error.message)

    async def _ask(self, request: RetrainRequested, verdict: Verdict) -> None:
        traces, begun = self._host.traces, time.time_ns()
        record = record_of(request, self._host.settings.topic_prefix, sampled=traces.on)
        await self._sink.send([record])
        if traces.on:
            traces.record(sent_span(record, STAGE, begun, shard_contexts(request)))
        self._said = ()
        self._host.metrics.retrain_open.set(1)
        for code in verdict.codes:
            self._host.metrics.retrain_requests.labels(code).inc()
        log.info(
            "retrain_requested",
            **run_log_context(request.run_id),
            reasons=verdict.codes,
            why=request.cause,
            shards=len(request.shards),
            champion=request.champion.version,
        )

    def _refuse(self, verdict: Verdict) -> None:
        for code in verdict.codes:
            self._host.metrics.retrain_refusals.labels(code).inc()
        tell = log.info if verdict.codes != self._said else log.debug
        tell("retrain_refused", reasons=verdict.codes, why=verdict.reason)
        self._said = verdict.codes

    def _measure(self, new_labels: int, *, open_run: bool) -> None:
        metrics = self._host.metrics
        metrics.retrain_open.set(open_run)
        metrics.retrain_new_labels.set(new_labels)
        metrics.retrain_unreadable.set(len(self._counter.unreadable))

    @Part.task
    async def _look(self) -> None:
        """Time alone can call for a run: an interval that is over, a run that was given up, a manual one that ended."""
        while not self.should_stop:
            await self.sleep(self._host.settings.retrain_look_seconds)
            if self._host.stream.reads(STAGE) and not self.should_stop:
                await self._try()

    async def _try(self) -> None:
        try:
            await self.consider()
        except DependencyError as error:
            log.warning("dependency_away", stage=STAGE, step="look", error=error.message)


def _request(
    champion: Champion, shards: list[CountedShard], after: str, verdict: Verdict, now: datetime
) -> RetrainRequested:
    return request_run(champion, [one.shard for one in shards], after, verdict.reason, "policy", now)
