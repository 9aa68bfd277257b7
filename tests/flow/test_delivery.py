"""The promise of delivery on the in-memory bus: what happens to mail when stages fail, brokers leave and workers stop."""

from __future__ import annotations

import asyncio
import errno
import itertools
from collections.abc import Mapping, Sequence

import pytest
from factories import add_stage, finish, memory_bus, parse_all, parsed, raw, running, settings, until
from faust.types.streams import StreamT

from mailweir.schemas.errors import (
    DeliveryError,
    DependencyError,
    MalformedJson,
    OffsetHole,
    RecordError,
    RejectRatioExceeded,
    SetupError,
)
from mailweir.schemas.events import DeadLetter, Email, Event
from mailweir.schemas.topics import RAW
from mailweir.services.app import Host
from mailweir.services.memory import MemoryBus
from mailweir.services.stream import Batch, Record
from mailweir.services.stream.record import Partition

Results = Sequence[Event | RecordError]


def _write(bus: MemoryBus, count: int) -> None:
    for number in range(count):
        bus.write(raw(number))


def _ids(bus: MemoryBus) -> list[str]:
    return [Email.decode(record.value).email_id for record in bus.records("mail.parsed")]


def _letters(bus: MemoryBus) -> list[tuple[Record, DeadLetter]]:
    return [(record, DeadLetter.from_headers(record.headers)) for record in bus.records("mail.dead")]


async def test_every_record_comes_out_once_and_its_offset_is_committed() -> None:
    """Fifty mails, fifty results, and a second worker finds nothing left."""
    bus = memory_bus()
    _write(bus, 50)
    await finish(bus, parse_all, 50)
    assert len(_ids(bus)) == len(set(_ids(bus))) == 50
    async with running(bus, parse_all):
        await asyncio.sleep(0.1)
    assert len(_ids(bus)) == 50


async def test_a_record_that_makes_its_stage_raise_is_the_only_one_that_dies() -> None:
    """The neighbours in its batch are handled; it lies in the dead letters with its bytes, place and cause."""
    bus = memory_bus()
    _write(bus, 30)

    async def handle(records: Sequence[Record]) -> Results:
        if any(b"order 13." in record.value for record in records):
            raise ZeroDivisionError("secret text of a mail")
        return await parse_all(records)

    await finish(bus, handle, 30)
    [(record, letter)] = _letters(bus)
    original = next(r for r in bus.records("mail.raw") if b"order 13." in r.value)
    assert len(set(_ids(bus))) == 29
    assert (record.value, record.key) == (original.value, original.key)
    assert (letter.source.partition, letter.source.offset) == (original.partition, original.offset)
    assert (letter.stage, letter.code, letter.attempts) == ("ingest", "unexpected", 2)
    assert "ZeroDivisionError" in letter.message
    assert "secret" not in letter.message


async def test_an_error_returned_for_a_record_is_its_dead_letter() -> None:
    """The original headers stay and the cause is added."""
    bus = memory_bus()
    _write(bus, 10)

    async def handle(records: Sequence[Record]) -> Results:
        bad = MalformedJson("not JSON: at 3")
        return [bad if b"order 4." in record.value else parsed(record) for record in records]

    await finish(bus, handle, 10)
    [(record, letter)] = _letters(bus)
    assert letter.code == "malformed_json"
    assert ("content-type", b"message/rfc822") in record.headers
    assert len(_ids(bus)) == 9


async def test_a_dependency_that_is_away_holds_the_partition_and_nothing_dies() -> None:
    """A stage that raises DependencyError gets the same records again until it works."""
    bus = memory_bus()
    _write(bus, 20)
    failures = iter(range(4))

    async def handle(records: Sequence[Record]) -> Results:
        if next(failures, None) is not None:
            raise DependencyError("the registry is away")
        return await parse_all(records)

    await finish(bus, handle, 20)
    assert len(set(_ids(bus))) == 20
    assert not bus.records("mail.dead")


@pytest.mark.parametrize("fault", [OSError(errno.EMFILE, "x"), MemoryError(), SetupError("no parser")], ids=repr)
async def test_a_fault_of_the_machine_is_waited_out_and_no_mail_dies_of_it(fault: Exception) -> None:
    """No descriptors, no memory, no process: the records are held and tried again, and neighbours are not tried alone."""
    bus = memory_bus(1)
    _write(bus, 20)
    failures = iter(range(3))

    async def handle(records: Sequence[Record]) -> Results:
        if next(failures, None) is not None:
            raise fault
        return await parse_all(records)

    host = await finish(bus, handle, 20)
    retries = {"stage": "ingest", "step": "handle"}
    assert host.metrics.registry.get_sample_value("mailweir_dependency_retries_total", retries) == 3
    assert len(set(_ids(bus))) == 20
    assert not bus.records("mail.dead")


async def test_a_stage_that_raises_at_every_record_stops_instead_of_burying_them() -> None:
    """Each fails alone, at the same place: a defect of the stage, not of eight mails; a worker that is mended decides them."""
    bus = memory_bus(1)
    _write(bus, 8)

    async def handle(records: Sequence[Record]) -> Results:
        raise LookupError("text of a mail")

    host = Host(settings(), bus)
    add_stage(host, handle)
    with pytest.raises(DeliveryError, match=r"each of \d records.*LookupError at .*handle:\d+") as caught:
        await asyncio.wait_for(host.serve(lambda _: None), 10)
    assert "text of a mail" not in caught.value.message
    assert not bus.records("mail.dead")
    await finish(bus, parse_all, 8)
    assert len(set(_ids(bus))) == 8


async def test_a_bus_that_goes_away_is_waited_out() -> None:
    """Pull, publish and commit fail for a while; afterwards every record is there."""
    bus = memory_bus()
    _write(bus, 20)
    async with running(bus, parse_all) as host:
        for total in (20, 30):
            await until(lambda: bool(_ids(bus)))
            bus.away = True
            await asyncio.sleep(0.3)
            bus.away = False
            _write(bus, total)
            await until(lambda total=total: len(set(_ids(bus))) == total)  # type: ignore[misc]
        steps = ("pull", "publish", "commit")
        name = "mailweir_dependency_retries_total"
        assert any(host.metrics.registry.get_sample_value(name, {"stage": "ingest", "step": step}) for step in steps)
    assert not bus.records("mail.dead")


async def test_a_batch_left_without_a_result_is_not_committed_in_silence() -> None:
    """An agent that forgets to publish is a defect: the worker stops and says so."""
    bus = memory_bus(1)
    _write(bus, 3)
    host = Host(settings(), bus)

    @host.agent(RAW, "ingest")
    async def forgetful(batches: StreamT[Batch]) -> None:
        async for batch in batches:
            async with batch:
                pass

    with pytest.raises(DeliveryError, match="RuntimeError"):
        await asyncio.wait_for(host.serve(lambda _: None), 10)
    assert await bus.source("mail.raw", "mailweir.ingest").committed([("mail.raw", 0)]) == {("mail.raw", 0): 0}


async def test_too_few_results_are_refused() -> None:
    """A stage that returns fewer results than records cannot drop one unseen."""
    bus = memory_bus(1)
    _write(bus, 4)

    async def handle(records: Sequence[Record]) -> Results:
        return (await parse_all(records))[: max(len(records) - 1, 1)]

    await finish(bus, handle, 4)
    assert len(set(_ids(bus))) + len(bus.records("mail.dead")) == 4


async def test_the_breaker_stops_the_worker_before_the_topic_is_emptied_into_the_dead_letters() -> None:
    """When all records are rejected each start ends with an error, and its last batch stays uncommitted and unpublished."""
    bus = memory_bus(1)
    _write(bus, 400)

    async def handle(records: Sequence[Record]) -> Results:
        return [MalformedJson("all wrong") for _ in records]

    for batch_mails in (8, 64, 64, 64):
        host = Host(settings(batch_mails=batch_mails), bus)
        add_stage(host, handle)
        with pytest.raises(RejectRatioExceeded, match=r"of them as malformed_json.*MAILWEIR_REJECT_RATIO_MAX"):
            await asyncio.wait_for(host.serve(lambda _: None), 10)
        dead = len(bus.records("mail.dead"))
        assert dead == 16  # two batches of eight, and nothing after the restarts
    later = bus.source("mail.raw", "mailweir.ingest")
    assert await later.committed([("mail.raw", 0)]) == {("mail.raw", 0): dead}


async def test_a_hole_in_the_offsets_stops_the_worker_and_loses_nothing() -> None:
    """A reader that skips records the broker holds must not commit behind them; the next start reads them."""
    bus = memory_bus(1)
    _write(bus, 40)
    host = Host(settings(batch_mails=4), bus)
    add_stage(host, parse_all)
    [reader] = host.stream.readers
    original = reader._source.pull
    calls = 0

    async def skipping(count: int, wait_ms: int) -> list[Record]:
        nonlocal calls
        calls += 1
        if calls == 3:
            reader._source.seek(("mail.raw", 0), 20)
        return await original(count, wait_ms)

    reader._source.pull = skipping  # type: ignore[method-assign]
    with pytest.raises(OffsetHole, match="expected offset 8, was given 20"):
        await asyncio.wait_for(host.serve(lambda _: None), 10)
    await finish(bus, parse_all, 40)
    assert len(set(_ids(bus))) == 40


async def test_a_broker_that_does_not_say_what_a_hole_holds_is_asked_again() -> None:
    """No answer is not "nothing there": the reader goes back to its commit instead of over the hole, and nothing is lost."""
    bus = memory_bus(1)
    _write(bus, 40)
    async with running(bus, parse_all, batch_mails=4) as host:
        [reader] = host.stream.readers
        pull, probe = reader._source.pull, reader._source.first_at_or_after
        calls, silences = itertools.count(), iter(range(2))

        async def skipping(count: int, wait_ms: int) -> list[Record]:
            if next(calls) == 2:
                reader._source.seek(("mail.raw", 0), 20)
            return await pull(count, wait_ms)

        async def silent(place: Partition, offset: int) -> int | None:
            if next(silences, None) is not None:
                raise DependencyError("no answer in time")
            return await probe(place, offset)

        reader._source.pull = skipping  # type: ignore[method-assign]
        reader._source.first_at_or_after = silent  # type: ignore[method-assign]
        await until(lambda: len(set(_ids(bus))) == 40)
        assert host.metrics.registry.get_sample_value("mailweir_missing_offsets_total", {"stage": "ingest"}) == 0
    assert len(list(silences)) == 1


async def test_stopping_finishes_and_commits_the_batch_in_hand() -> None:
    """SIGTERM in the middle of a batch: it is published once and not read again."""
    bus = memory_bus(1)
    _write(bus, 8)
    entered = asyncio.Event()

    async def slow(records: Sequence[Record]) -> Results:
        entered.set()
        await asyncio.sleep(0.2)
        return await parse_all(records)

    async with running(bus, slow):
        await entered.wait()
    assert len(_ids(bus)) == 8
    await finish(bus, parse_all, 8)
    assert len(_ids(bus)) == 8


async def test_a_batch_that_outlasts_a_rebalance_is_abandoned_and_done_elsewhere() -> None:
    """The slow worker's batch is not committed; the other worker handles the records."""
    bus = memory_bus(2)
    _write(bus, 20)
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
    assert len(set(_ids(bus))) == 20


async def test_a_worker_whose_commit_outlasts_a_rebalance_goes_on_afterwards() -> None:
    """The batch is left to others; the reader takes what it is assigned next instead of falling silent."""
    bus = memory_bus(2)
    _write(bus, 20)
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
        await until(lambda: len(set(_ids(bus))) == 40)
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
        await until(lambda: len(set(_ids(bus))) == total)
    assert len(_ids(bus)) == total


async def test_an_output_that_does_not_fit_the_next_topic_is_a_dead_letter() -> None:
    """The limit of the topics table holds before the broker has to refuse."""
    bus = memory_bus(1)
    bus.write(raw(1))

    async def handle(records: Sequence[Record]) -> Results:
        return [parsed(record).model_copy(update={"body": "x" * 5_000_000}) for record in records]

    await finish(bus, handle, 1)
    assert _letters(bus)[0][1].code == "output_too_large"


async def test_health_tells_ready_and_stalled() -> None:
    """Ready once partitions are assigned; not alive when there is work and no offset moves."""
    bus = memory_bus(1)
    _write(bus, 5)
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


async def test_partitions_that_come_and_go_are_no_progress() -> None:
    """A worker whose commits are refused and whose partitions return in a moment is not alive, and its repeats are counted."""
    bus = memory_bus(1)
    _write(bus, 5)
    async with running(bus, parse_all, stall_seconds=0.5) as host:
        [reader] = host.stream.readers

        async def refuse(offsets: Mapping[Partition, int]) -> bool:
            await reader._assigned(frozenset(offsets))
            return False

        await until(lambda: len(_ids(bus)) == 5 and not reader.progress.behind)
        reader._source.commit = refuse  # type: ignore[method-assign]
        _write(bus, 5)
        await until(lambda: host.health.stalled() == ["ingest"])
        repeats = {"stage": "ingest", "cause": "not_committed"}
        assert (host.metrics.registry.get_sample_value("mailweir_redelivered_total", repeats) or 0) >= 5


async def test_an_agent_whose_loop_ends_takes_the_worker_with_it() -> None:
    """Nobody would take the next batch: the worker stops instead of looking alive."""
    bus = memory_bus(1)
    _write(bus, 5)
    host = Host(settings(rebalance_wait_ms=10), bus)

    @host.agent(RAW, "ingest")
    async def broken(batches: StreamT[Batch]) -> None:
        async for _ in batches:
            raise LookupError("outside the batch")

    with pytest.raises(LookupError):
        await asyncio.wait_for(host.serve(lambda _: None), 10)
