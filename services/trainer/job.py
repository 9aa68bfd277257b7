"""The job: find the run on Kafka, carry it out, tell how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from mailweir.models.registry import Promotion
from mailweir.models.training.gate import Limits
from mailweir.schemas.events import RetrainFinished, utc_now
from mailweir.schemas.topics import RETRAIN, SHARDS
from mailweir.services.runs.contexts import run_log_context
from mailweir.services.runs.history import History
from mailweir.services.runs.reader import HistoryReader
from mailweir.services.runs.records import finished_record, promotion_record
from mailweir.services.settings import Settings
from mailweir.services.stream import Bus, traces_of
from mailweir.services.telemetry import Metrics, logged_with, logger
from mailweir.services.trainer.carry import carry_out
from mailweir.services.trainer.champion import open_house
from mailweir.services.trainer.find import Found, find
from mailweir.services.trainer.folder import held
from mailweir.services.trainer.progress import Tell, silent, to_log, together
from mailweir.services.trainer.spans import traced

__all__ = ["find_run", "finish", "run_job"]

log = logger(__name__)

Connect = Callable[[], Bus]


def run_job(
    settings: Settings, connect: Connect, wanted: str | None, tell: Tell = silent, limits: Limits | None = None
) -> RetrainFinished:
    """Carry out the run whose id starts with `wanted`, or the open one, and tell `mail.retrain` its end, exactly once.

    Blocking; not for an event loop's own thread. `limits` are the gate's, where its own do not fit (a bundle made for a test).

    Raises:
        SetupError: there is no such run, or it cannot begin as this machine is set up; nothing was told.
        DependencyError: Kafka or a store is away, or another process carries the run out; nothing was told, call again.
    """
    found = find_run(settings, connect, wanted)
    return found.end or finish(settings, connect, found, tell, limits)


def find_run(settings: Settings, connect: Connect, wanted: str | None) -> Found:
    """The run that is meant, by what the topics tell now."""
    return find(asyncio.run(_history(settings, connect)), wanted, utc_now())


def finish(
    settings: Settings,
    connect: Connect,
    found: Found,
    tell: Tell = silent,
    limits: Limits | None = None,
    metrics: Metrics | None = None,
) -> RetrainFinished:
    """Carry it out and tell its end; the folder is held until it was told."""
    run_id = found.request.run_id
    traces = traces_of(settings, metrics or Metrics())
    with logged_with(**run_log_context(run_id)), traced(traces, found.request) as (spans, ended):
        with held(settings, run_id) as folder:
            tells = together(tell, to_log(run_id), spans.tell)
            end = carry_out(settings, found.request, found.shards, folder, tells, limits)
            made = None
            if end.outcome == "promoted":
                made = open_house(settings).promotion_by(run_id, found.request.champion.name)
            asyncio.run(_tell(settings, connect, end, made, sampled=traces.on))
        ended(end)
    return end


async def _history(settings: Settings, connect: Connect) -> History:
    bus = connect()
    shards, runs = (bus.journal(settings.topic_name(topic.name)) for topic in (SHARDS, RETRAIN))
    reader = HistoryReader(shards, runs, timedelta(hours=settings.retrain_timeout_hours))
    try:
        return await reader.catch_up()
    finally:
        await reader.stop()


async def _tell(
    settings: Settings, connect: Connect, end: RetrainFinished, made: Promotion | None, *, sampled: bool
) -> None:
    """Unless an end is there: of a process that was killed right after it told, or of who gave this one up."""
    run = (await _history(settings, connect)).runs.get(end.run_id)
    if run is not None and run.end is not None:
        if run.end.outcome != end.outcome:
            log.warning("trainer_end_unlike", run_id=end.run_id, told=run.end.outcome, came_to=end.outcome)
        return
    prefix, sink = settings.topic_prefix, connect().sink()
    promoted = [promotion_record(made, open_house(settings).folder(made.model), prefix)] if made else []
    await sink.start()
    try:
        await sink.send([*promoted, finished_record(end, prefix, sampled=sampled)])
    finally:
        await sink.stop()
