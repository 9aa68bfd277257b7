"""Batches that nobody finishes: agents that are cancelled, partitions that go elsewhere, commits that are refused."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from factories import (
    add_stage,
    finish,
    memory_bus,
    parse_all,
    parsed_ids,
    raw,
    running,
    settings,
    until,
    value,
    write_raw,
)
from faust.types.streams import StreamT

from mailweir.schemas.errors import AgentEnded, DependencyError, RecordError
from mailweir.schemas.events import Event
from mailweir.schemas.topics import PARSED, RAW
from mailweir.services.app import Host
from mailweir.services.memory import MemoryBus
from mailweir.services.stream import Batch, Record
from mailweir.services.stream.record import Partition

Results = Sequence[Event | RecordError]


async def _told(_: frozenset[Partition]) -> None:
    """A listener that does nothing."""


async def _join(bus: MemoryBus) -> None:
    """A second member takes every other partition from the one that runs, and reads nothing."""
    await bus.source("mail.raw", "mailweir.ingest").start(_told, _told)


async def _cancelled() -> None:
    """What waiting for the result of a thread does when its pool was shut down."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def test_a_batch_whose_agent_is_cancelled_is_not_committed_over() -> None:
    """The worker ends with an error in the middle of the batch; the next start reads the batch again."""
    bus = memory_bus(1)
    write_raw(bus, 40)
    calls = 0

    async def handle(records: Sequence[Record]) -> Results:
        nonlocal calls
        calls += 1
        if calls == 2:
            await _cancelled()
        return await parse_all(records)

    host = Host(settings(batch_mails=4), bus)
    add_stage(host, handle)
    with pytest.raises(AgentEnded, match="start the worker again"):
        await asyncio.wait_for(host.serve(lambda _: None), 10)
    assert len(parsed_ids(bus)) == 4
    await finish(bus, parse_all, 40)
    assert len(set(parsed_ids(bus))) == 40


async def test_a_batch_that_its_agent_gives_up_alone_is_not_committed_over() -> None:
    """Also an agent that survives the cancellation of its batch, and takes the next one, stops the worker."""
    bus = memory_bus(1)
    write_raw(bus, 12)
    host = Host(settings(batch_mails=4), bus)
    given_up = False

    @host.agent(RAW, "ingest")
    async def stubborn(batches: StreamT[Batch]) -> None:
        nonlocal given_up
        async for batch in batches:
            try:
                async with batch:
                    if not given_up:
                        given_up = True
                        await _cancelled()
                    await batch.publish(PARSED, await parse_all(batch.records))
            except asyncio.CancelledError:
                continue

    with pytest.raises(AgentEnded):
        await asyncio.wait_for(host.serve(lambda _: None), 10)
    assert await bus.source("mail.raw", "mailweir.ingest").committed([("mail.raw", 0)]) == {("mail.raw", 0): 0}


@pytest.mark.parametrize("cancelled", [False, True])
async def test_an_agent_whose_loop_ends_between_batches_takes_the_worker_with_it(cancelled: bool) -> None:  # noqa: FBT001
    """One batch done and no agent for the next: the worker stops instead of waiting for ever."""
    bus = memory_bus(1)
    write_raw(bus, 12)
    host = Host(settings(batch_mails=4, rebalance_wait_ms=10), bus)

    @host.agent(RAW, "ingest")
    async def once(batches: StreamT[Batch]) -> None:
        async for batch in batches:
            async with batch:
                await batch.publish(PARSED, await parse_all(batch.records))
            if cancelled:
                await _cancelled()
            return

    with pytest.raises(AgentEnded):
        await asyncio.wait_for(host.serve(lambda _: None), 10)
    committed = await bus.source("mail.raw", "mailweir.ingest").committed([("mail.raw", 0)])
    assert committed == {("mail.raw", 0): len(parsed_ids(bus))}


async def test_a_rebalance_waits_for_the_batch_in_hand() -> None:
    """A second member joins in the middle of a slow batch: it is published and committed before, so nothing repeats."""
    bus = memory_bus(2)
    write_raw(bus, 8)
    entered = asyncio.Event()

    async def slow(records: Sequence[Record]) -> Results:
        entered.set()
        await asyncio.sleep(0.3)
        return await parse_all(records)

    async with running(bus, slow):
        await entered.wait()
        async with running(bus, parse_all):
            await until(lambda: len(set(parsed_ids(bus))) == 8)
            await asyncio.sleep(0.1)
    assert len(parsed_ids(bus)) == 8


async def test_an_abandoned_batch_publishes_nothing_afterwards() -> None:
    """The bus comes back after the partition went elsewhere: whoever has it now publishes, not the old owner."""
    bus = memory_bus(2)
    numbers = [number for number in range(40) if bus.write(raw(number)).partition == 1]
    bus = memory_bus(2)
    for number in numbers:
        bus.write(raw(number))

    async def handle(records: Sequence[Record]) -> Results:
        bus.away = True
        return await parse_all(records)

    async with running(bus, handle, rebalance_wait_ms=50) as host:
        await until(lambda: _retries(host, "publish") > 0)
        await _join(bus)
        bus.away = False
        await asyncio.sleep(0.4)  # twice the longest wait between two tries
        assert parsed_ids(bus) == []


def _watch_commits(bus: MemoryBus, host: Host) -> list[tuple[int, int]]:
    """Each commit of a topic with one partition: its offset, and how many records had come out by then."""
    [reader] = host.stream.readers
    commit, seen = reader._source.commit, []

    async def watched(offsets: Mapping[Partition, int]) -> bool:
        seen.extend((offset, len(set(parsed_ids(bus))) + len(bus.records("mail.dead"))) for offset in offsets.values())
        return await commit(offsets)

    reader._source.commit = watched  # type: ignore[method-assign]
    return seen


def _retries(host: Host, step: str) -> float:
    return value(host, "mailweir_dependency_retries_total", stage="ingest", step=step)


async def test_a_dead_letter_that_was_abandoned_is_written_by_the_next_reader() -> None:
    """A rebalance while the bus is away and a record is being buried: it is read again, not committed over."""
    bus = memory_bus(1)
    bus.write(raw(1))
    calls = 0

    async def broken(records: Sequence[Record]) -> Results:
        nonlocal calls
        calls += 1
        bus.away = calls == 2  # the record is alone now: what follows is its dead letter
        raise ZeroDivisionError

    async with running(bus, broken, rebalance_wait_ms=50) as host:
        commits = _watch_commits(bus, host)
        await until(lambda: _retries(host, "publish") > 0)
        await _join(bus)  # of one partition the first member keeps it
        bus.away = False
        await until(lambda: bool(bus.records("mail.dead")), 5)
    assert commits == [(1, 1)]
    assert calls == 4


async def test_an_isolation_that_was_abandoned_begins_again() -> None:
    """A rebalance in the middle of trying records one by one: the one in hand and those after it are read again."""
    bus = memory_bus(1)
    write_raw(bus, 4)
    inside, free = asyncio.Event(), asyncio.Event()

    async def handle(records: Sequence[Record]) -> Results:
        if len(records) > 1:
            raise ZeroDivisionError
        if b"order 1." in records[0].value and not free.is_set():
            inside.set()
            await free.wait()
        return await parse_all(records)

    async with running(bus, handle, rebalance_wait_ms=50) as host:
        commits = _watch_commits(bus, host)
        await inside.wait()
        await _join(bus)
        free.set()
        await until(lambda: len(set(parsed_ids(bus))) == 4, 5)
    assert commits == [(4, 4)]


async def test_a_refused_commit_brings_the_records_again_and_nothing_else() -> None:
    """Exactly the refused batch is handled twice, although others were already waiting behind it."""
    bus = memory_bus(1)
    write_raw(bus, 20)
    refused: list[int] = []
    async with running(bus, parse_all, batch_bytes=500, batch_wait_ms=0) as host:
        [reader] = host.stream.readers
        commit = reader._source.commit

        async def once(offsets: Mapping[Partition, int]) -> bool:
            if not refused:
                refused.extend(offsets.values())
                assert len(reader._gatherer) > 0
                return False
            return await commit(offsets)

        reader._source.commit = once  # type: ignore[method-assign]
        await until(lambda: len(set(parsed_ids(bus))) == 20 and reader.progress.behind == 0)
    assert len(parsed_ids(bus)) == 20 + refused[0]


async def test_records_that_could_not_be_checked_are_pulled_again() -> None:
    """The broker leaves between a pull and the look at the committed offsets: no record is skipped, no hole is seen."""
    bus = memory_bus(1)
    write_raw(bus, 40)
    host = Host(settings(batch_mails=4), bus)
    add_stage(host, parse_all)
    [reader] = host.stream.readers
    committed, failures = reader._source.committed, iter(range(1))

    async def away_once(places: Sequence[Partition]) -> Mapping[Partition, int]:
        if next(failures, None) is not None:
            raise DependencyError("no coordinator")
        return await committed(places)

    reader._source.committed = away_once  # type: ignore[assignment]
    serving = asyncio.create_task(host.serve(lambda _: None))
    await until(lambda: serving.done() or len(parsed_ids(bus)) == 40)
    host.stop_because(None)
    await serving
    assert len(set(parsed_ids(bus))) == len(parsed_ids(bus)) == 40


async def test_a_defect_in_the_reader_itself_ends_the_worker() -> None:
    """It neither goes on without the reader nor hides what was raised."""
    bus = memory_bus(1)
    host = Host(settings(), bus)
    add_stage(host, parse_all)
    [reader] = host.stream.readers

    def broken() -> Mapping[Partition, object]:
        raise ZeroDivisionError

    reader._source.lag = broken  # type: ignore[assignment,method-assign]
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(host.serve(lambda _: None), 10)
