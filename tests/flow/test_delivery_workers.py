"""Workers stop, join, leave and hang on the in-memory bus: no mail is lost by it, and a worker that does nothing says so."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from factories import Results, finish, memory_bus, parse_all, parsed_ids, raw, running, settings, until, write_raw
from faust.types.streams import StreamT

from mailweir.schemas.errors import (
    DependencyError,
)
from mailweir.schemas.topics import RAW
from mailweir.services.app import Host
from mailweir.services.stream import Batch, Record
from mailweir.services.stream.record import Partition


async def test_stopping_finishes_and_commits_the_batch_in_hand() -> None:
    """SIGTERM in the middle of a batch: it is published once and not read again."""
    bus = memory_bus(1)
    write_raw(bus, 8)
    entered = asyncio.Event()

    async def slow(records: Sequence[Record]) -> Results:
        entered.set()
        await asyncio.sleep(0.2)
        return await parse_all(records)

    async with running(bus, slow):
        await entered.wait()
    assert len(parsed_ids(bus)) == 8
    await finish(bus, parse_all, 8)
    assert len(parsed_ids(bus)) == 8


async def test_a_batch_that_outlasts_a_rebalance_is_abandoned_and_done_elsewhere() -> None:
    """The slow worker's batch is not committed; the other worker handles the records."""
    bus = memory_bus(2)
    write_raw(bus, 20)
    stuck = asyncio.Event()

    async def hang(records: Sequence[Record]) -> Results:
        stuck.set()
        await asyncio.sleep(60)
        return []

    async with running(bus, hang, rebalance_wait_ms=50):
        await stuck.wait()
        async with running(bus, parse_all, rebalance_wait_ms=50):
            await asyncio.sleep(0.2)
    await finish(bus, parse_all, 20)
    assert len(set(parsed_ids(bus))) == 20


async def test_a_worker_whose_commit_outlasts_a_rebalance_goes_on_afterwards() -> None:
    """The batch is left to others; the reader takes what it is assigned next instead of falling silent."""
    bus = memory_bus(2)
    write_raw(bus, 20)
    async with running(bus, parse_all, rebalance_wait_ms=50) as host:
        [reader] = host.stream.readers
        commit = reader._source.commit

        async def refuse(offsets: Mapping[Partition, int]) -> bool:
            raise DependencyError("no coordinator")

        reader._source.commit = refuse  # type: ignore[method-assign]
        await until(lambda: bool(bus.records("mail.parsed")))
        async with running(bus, parse_all, rebalance_wait_ms=50):
            await asyncio.sleep(0.3)
        reader._source.commit = commit  # type: ignore[method-assign]
        for number in range(20, 40):
            bus.write(raw(number))
        await until(lambda: len(set(parsed_ids(bus))) == 40)
        await until(lambda: reader.progress.behind == 0)


async def test_workers_join_and_leave_without_loss_or_repeat() -> None:
    """Each rebalance waits for the batch in hand, so nothing is handled twice either."""
    bus = memory_bus(6)
    total = 0
    async with running(bus, parse_all):
        for _ in range(5):
            for number in range(total, total + 40):
                bus.write(raw(number))
            total += 40
            async with running(bus, parse_all):
                await asyncio.sleep(0.02)
        await until(lambda: len(set(parsed_ids(bus))) == total)
    assert len(parsed_ids(bus)) == total


async def test_health_tells_ready_and_stalled() -> None:
    """Ready once partitions are assigned; not alive when there is work and no offset moves."""
    bus = memory_bus(1)
    write_raw(bus, 5)
    entered = asyncio.Event()

    async def hang(records: Sequence[Record]) -> Results:
        entered.set()
        await asyncio.sleep(60)
        return []

    async with running(bus, hang, stall_seconds=0.05, rebalance_wait_ms=10) as host:
        await entered.wait()
        assert host.health.ready()
        await asyncio.sleep(0.1)
        assert host.health.stalled() == ["ingest"]


async def test_mail_that_comes_behind_a_held_batch_is_counted() -> None:
    """A stage that hangs: the lag says what lies in its hands, and grows with what is written meanwhile."""
    bus = memory_bus(1)
    write_raw(bus, 5)
    go = asyncio.Event()

    async def hang(records: Sequence[Record]) -> Results:
        await go.wait()
        return await parse_all(records)

    async with running(bus, hang) as host:
        place = {"stage": "ingest", "topic": "mail.raw", "partition": "0"}

        def lag() -> float | None:
            return host.metrics.registry.get_sample_value("mailweir_lag_records", place)

        await until(lambda: lag() == 5)
        write_raw(bus, 7)
        await until(lambda: lag() == 12)
        go.set()
        await until(lambda: lag() == 0)
    assert len(parsed_ids(bus)) == 12


async def test_partitions_that_come_and_go_are_no_progress() -> None:
    """A worker whose commits are refused and whose partitions return in a moment is not alive, and its repeats are counted."""
    bus = memory_bus(1)
    write_raw(bus, 5)
    async with running(bus, parse_all, stall_seconds=0.5) as host:
        [reader] = host.stream.readers

        async def refuse(offsets: Mapping[Partition, int]) -> bool:
            await reader._assigned(frozenset(offsets))
            return False

        await until(lambda: len(parsed_ids(bus)) == 5 and not reader.progress.behind)
        reader._source.commit = refuse  # type: ignore[method-assign]
        write_raw(bus, 5)
        await until(lambda: host.health.stalled() == ["ingest"])
        repeats = {"stage": "ingest", "cause": "not_committed"}
        value = host.metrics.registry.get_sample_value
        refused = value("mailweir_commits_total", {"stage": "ingest", "outcome": "refused"}) or 0
        assert refused >= 1
        assert (value("mailweir_redelivered_total", repeats) or 0) >= max(5, refused)


async def test_an_agent_whose_loop_ends_takes_the_worker_with_it() -> None:
    """Nobody would take the next batch: the worker stops instead of looking alive."""
    bus = memory_bus(1)
    write_raw(bus, 5)
    host = Host(settings(rebalance_wait_ms=10), bus)

    @host.agent(RAW, "ingest")
    async def broken(batches: StreamT[Batch]) -> None:
        async for _ in batches:
            raise LookupError("outside the batch")

    with pytest.raises(LookupError):
        await asyncio.wait_for(host.serve(lambda _: None), 60)
