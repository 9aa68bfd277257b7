"""`Launcher`: carries out the run that is open by starting the trainer's command, and says so when that fails."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from datetime import timedelta

from mailweir.schemas.errors import DependencyError
from mailweir.schemas.events import RetrainFinished, RetrainRequested, utc_now
from mailweir.services.app import Host, Part
from mailweir.services.runs.contexts import run_log_context
from mailweir.services.runs.history import Run
from mailweir.services.runs.reader import HistoryReader
from mailweir.services.runs.records import finished_record
from mailweir.services.telemetry import logged_with, logger
from mailweir.services.trainer.child import Child, End, Limits
from mailweir.services.trainer.spans import process_span

__all__ = ["COMMAND", "STAGE", "Launcher"]

log = logger(__name__)

STAGE = "trainer"
COMMAND = (sys.executable, "-m", "mailweir.services.cli", "retrain", "run")
"""The run's id follows."""

_SETUP, _AGAIN = 2, 3  # exit codes of `mailweir retrain run`: it cannot work as it is set up; something is away
_TRIES = 2  # a crash may be chance; what crashes twice will crash again
_GIB = 1024**3


class Launcher(Part):
    """One run at a time, the one that the topics call open: void requests and runs that have ended never are.

    Nothing is remembered beside the topics and the folder of the run. A launcher that starts finds the open run in the history and
    starts its command again, which goes on from its checkpoints. Only the worker that reads `mail.retrain` acts, and it stops
    its process when the partition goes elsewhere.
    """

    abstract = False

    def __init__(self, host: Host, command: Sequence[str] = COMMAND, look_s: float = 1.0) -> None:
        super().__init__()
        settings = host.settings
        self._host = host
        self._command = tuple(command)
        self._look_s = look_s
        self._pause_s = settings.retrain_look_seconds
        self._timeout = timedelta(hours=settings.retrain_timeout_hours)
        self._reader = HistoryReader.of(host.stream, self._timeout)
        self._sink = host.stream.sink()
        self._child: Child | None = None
        self._news = asyncio.Event()
        self._crashes: dict[str, int] = {}  # by run id, of this process

    async def on_start(self) -> None:
        """Connect the producer."""
        await self._sink.start()

    async def on_stop(self) -> None:
        """Stop the process; its run stays open."""
        if self._child is not None:
            await self._child.stop(self._host.settings.trainer_grace_seconds)
        await asyncio.gather(self._sink.stop(), self._reader.stop())

    async def crash(self, reason: BaseException) -> None:
        """A defect of ours: the worker must stop; it would go on ready, and do nothing."""
        self._host.stop_because(reason)
        await super().crash(reason)

    def wake(self) -> None:
        """Something is new on the topic."""
        self._news.set()

    @Part.task
    async def _work(self) -> None:
        while not self.should_stop:
            self._news.clear()  # before the topic is read: what comes meanwhile is news
            try:
                again = self._host.stream.reads(STAGE) and await self._next()
            except DependencyError as error:
                log.warning("dependency_away", stage=STAGE, step="runs", error=error.message)
                again = False
            if not again:
                await self._wait()

    async def _wait(self) -> None:
        """Until there is news. Time alone can change things too: a partition that comes, a store that is back."""
        pause = self._pause_s if self._host.stream.reads(STAGE) else self._look_s
        try:
            await asyncio.wait_for(self._news.wait(), pause)
        except TimeoutError:
            return

    async def _next(self) -> bool:
        """Carry out the open run, if there is one; True if the next may be looked for at once."""
        run = (await self._reader.catch_up()).open_run(utc_now())
        if run is None:
            return False
        with logged_with(**run_log_context(run.request.run_id)):
            end = await self._try(run.request)
            if self.should_stop or not self._host.stream.reads(STAGE):
                self._count("left")
                return False
            return await self._settle(run, end)

    async def _try(self, request: RetrainRequested) -> End:
        metrics, began, begun_ns = self._host.metrics, time.monotonic(), time.time_ns()
        self._child = child = await Child.start([*self._command, request.run_id])
        log.info("trainer_started", pid=child.pid, shards=len(request.shards))
        metrics.trainer_running.set(1)
        try:
            end = await child.finish(self._limits(request), metrics.trainer_memory.set, self._unwanted)
        finally:
            self._child = None
            metrics.trainer_running.set(0)
        seconds = time.monotonic() - began
        metrics.trainer_seconds.observe(seconds)
        log.info("trainer_ended", code=end.code, cause=end.cause, seconds=round(seconds, 1))
        if self._host.traces.on:
            self._host.traces.record(process_span(request, begun_ns, child.pid, end.code, _error(end)))
        return end

    async def _settle(self, run: Run, end: End) -> bool:
        """What the end of a try means, by what the topics say now."""
        run_id = run.request.run_id
        told = (await self._reader.catch_up()).runs[run_id].end
        if told is not None:
            self._crashes.pop(run_id, None)
            self._count(told.outcome)
            return True
        if end.code == _AGAIN and not end.stopped:
            return False
        self._crashes[run_id] = self._crashes.get(run_id, 0) + 1
        if not end.stopped and end.code != _SETUP and self._crashes[run_id] < _TRIES:
            self._host.metrics.trainer_restarts.inc()
            log.warning("trainer_restarted", cause=end.cause)
            return True
        return await self._give_up(run_id, end)

    async def _give_up(self, run_id: str, end: End) -> bool:
        """Tell that the run failed; while the broker is away the next try finds it open again, and ends here again."""
        reason = f"the trainer {end.cause}. `mailweir retrain run {run_id[:12]}` shows all that it says"
        event = RetrainFinished(
            run_id=run_id,
            outcome="failed",
            reasons=(reason,),
            finished_at=utc_now(),
            setup_failed=end.code == _SETUP and not end.stopped,
        )
        await self._sink.send([finished_record(event, self._host.settings.topic_prefix)])
        self._crashes.pop(run_id, None)
        self._count("failed")
        log.error("trainer_failed", cause=end.cause)
        return True

    def _limits(self, request: RetrainRequested) -> Limits:
        """No longer than until the run is given up by everybody: another may begin then."""
        settings = self._host.settings
        left = (request.requested_at + self._timeout - utc_now()).total_seconds()
        return Limits(
            memory_bytes=int(settings.trainer_memory_gib * _GIB),
            seconds=min(settings.trainer_hours * 3_600, left),
            grace_s=settings.trainer_grace_seconds,
            look_s=self._look_s,
        )

    def _unwanted(self) -> str:
        return "" if self._host.stream.reads(STAGE) else "another worker reads the requests now"

    def _count(self, outcome: str) -> None:
        self._host.metrics.trainer_runs.labels(outcome).inc()


def _error(end: End) -> str:
    """For a span: no text of the process."""
    return "" if end.code in (0, 1) and not end.stopped else "stopped" if end.stopped else f"exit_{end.code}"
