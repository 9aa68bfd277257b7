"""The promise of delivery on the in-memory bus: what happens to mail when stages fail and brokers leave."""

from __future__ import annotations

import asyncio
import errno
import itertools
from collections.abc import Sequence

import pytest
from factories import (
    Results,
    add_stage,
    finish,
    memory_bus,
    parse_all,
    parsed,
    parsed_ids,
    raw,
    running,
    settings,
    until,
    write_raw,
)
from faust.types.streams import StreamT

from mailweir.schemas.errors import (
    DeliveryError,
    DependencyError,
    MalformedJson,
    OffsetHole,
    RejectRatioExceeded,
    SetupError,
)
from mailweir.schemas.events import DeadLetter
from mailweir.schemas.topics import RAW
from mailweir.services.app import Host
from mailweir.services.memory import MemoryBus
from mailweir.services.stream import Batch, Record
from mailweir.services.stream.record import Partition


def _letters(bus: MemoryBus) -> list[tuple[Record, DeadLetter]]:
    return [(record, DeadLetter.from_headers(record.headers)) for record in bus.records("mail.dead")]


async def test_every_record_comes_out_once_and_its_offset_is_committed() -> None:
    """Fifty mails, fifty results, and a second worker finds nothing left."""
    bus = memory_bus()
    write_raw(bus, 50)
    await finish(bus, parse_all, 50)
    assert len(parsed_ids(bus)) == len(set(parsed_ids(bus))) == 50
    async with running(bus, parse_all):
        await asyncio.sleep(0.1)
    assert len(parsed_ids(bus)) == 50


async def test_a_record_that_makes_its_stage_raise_is_the_only_one_that_dies() -> None:
    """The neighbours in its batch are handled; it lies in the dead letters with its bytes, place and cause."""
    bus, raised = memory_bus(), []
    write_raw(bus, 30)

    async def handle(records: Sequence[Record]) -> Results:
        if any(b"order 13." in record.value for record in records):
            raised.append(len(records))
            raise ZeroDivisionError("secret text of a mail")
        return await parse_all(records)

    host = await finish(bus, handle, 30)
    value = host.metrics.registry.get_sample_value
    assert value("mailweir_redelivered_total", {"stage": "ingest", "cause": "raised"}) == raised[0] > 1
    counted = [value("mailweir_mails_total", {"stage": "ingest", "outcome": one}) for one in ("published", "rejected")]
    assert counted == [29, 1]  # once each, however often they were tried
    [(record, letter)] = _letters(bus)
    original = next(r for r in bus.records("mail.raw") if b"order 13." in r.value)
    assert len(set(parsed_ids(bus))) == 29
    assert (record.value, record.key) == (original.value, original.key)
    assert (letter.source.partition, letter.source.offset) == (original.partition, original.offset)
    assert (letter.stage, letter.code, letter.attempts) == ("ingest", "unexpected", 2)
    assert "ZeroDivisionError" in letter.message
    assert "secret" not in letter.message


async def test_an_error_returned_for_a_record_is_its_dead_letter() -> None:
    """The original headers stay and the cause is added."""
    bus = memory_bus()
    write_raw(bus, 10)

    async def handle(records: Sequence[Record]) -> Results:
        bad = MalformedJson("not JSON: at 3")
        return [bad if b"order 4." in record.value else parsed(record) for record in records]

    await finish(bus, handle, 10)
    [(record, letter)] = _letters(bus)
    assert letter.code == "malformed_json"
    assert ("content-type", b"message/rfc822") in record.headers
    assert len(parsed_ids(bus)) == 9


async def test_a_dependency_that_is_away_holds_the_partition_and_nothing_dies() -> None:
    """A stage that raises DependencyError gets the same records again until it works."""
    bus = memory_bus()
    write_raw(bus, 20)
    failures = iter(range(4))

    async def handle(records: Sequence[Record]) -> Results:
        if next(failures, None) is not None:
            raise DependencyError("the registry is away")
        return await parse_all(records)

    await finish(bus, handle, 20)
    assert len(set(parsed_ids(bus))) == 20
    assert not bus.records("mail.dead")


@pytest.mark.parametrize("fault", [OSError(errno.EMFILE, "x"), MemoryError(), SetupError("no parser")], ids=repr)
async def test_a_fault_of_the_machine_is_waited_out_and_no_mail_dies_of_it(fault: Exception) -> None:
    """No descriptors, no memory, no process: the records are held and tried again, and neighbours are not tried alone."""
    bus = memory_bus(1)
    write_raw(bus, 20)
    failures = iter(range(3))

    async def handle(records: Sequence[Record]) -> Results:
        if next(failures, None) is not None:
            raise fault
        return await parse_all(records)

    host = await finish(bus, handle, 20)
    retries = {"stage": "ingest", "step": "handle"}
    assert host.metrics.registry.get_sample_value("mailweir_dependency_retries_total", retries) == 3
    assert len(set(parsed_ids(bus))) == 20
    assert not bus.records("mail.dead")


async def test_a_stage_that_raises_at_every_record_stops_instead_of_burying_them() -> None:
    """Each fails alone, at the same place: a defect of the stage, not of eight mails; a worker that is mended decides them."""
    bus = memory_bus(1)
    write_raw(bus, 8)

    async def handle(records: Sequence[Record]) -> Results:
        raise LookupError("text of a mail")

    host = Host(settings(), bus)
    add_stage(host, handle)
    with pytest.raises(DeliveryError, match=r"each of \d records.*LookupError at .*handle:\d+") as caught:
        await asyncio.wait_for(host.serve(lambda _: None), 60)
    assert "text of a mail" not in caught.value.message
    assert not bus.records("mail.dead")
    await finish(bus, parse_all, 8)
    assert len(set(parsed_ids(bus))) == 8


async def test_a_bus_that_goes_away_is_waited_out() -> None:
    """Pull, publish and commit fail for a while; afterwards every record is there."""
    bus = memory_bus()
    write_raw(bus, 20)
    async with running(bus, parse_all) as host:
        for total in (20, 30):
            await until(lambda: bool(parsed_ids(bus)))
            bus.away = True
            await asyncio.sleep(0.3)
            bus.away = False
            write_raw(bus, total)
            await until(lambda total=total: len(set(parsed_ids(bus))) == total)  # type: ignore[misc]
        steps = ("pull", "publish", "commit")
        name = "mailweir_dependency_retries_total"
        assert any(host.metrics.registry.get_sample_value(name, {"stage": "ingest", "step": step}) for step in steps)
    assert not bus.records("mail.dead")


async def test_a_batch_left_without_a_result_is_not_committed_in_silence() -> None:
    """An agent that forgets to publish is a defect: the worker stops and says so."""
    bus = memory_bus(1)
    write_raw(bus, 3)
    host = Host(settings(), bus)

    @host.agent(RAW, "ingest")
    async def forgetful(batches: StreamT[Batch]) -> None:
        async for batch in batches:
            async with batch:
                pass

    with pytest.raises(DeliveryError, match="RuntimeError"):
        await asyncio.wait_for(host.serve(lambda _: None), 60)
    assert await bus.source("mail.raw", "mailweir.ingest").committed([("mail.raw", 0)]) == {("mail.raw", 0): 0}


async def test_too_few_results_are_refused() -> None:
    """A stage that returns fewer results than records cannot drop one unseen."""
    bus = memory_bus(1)
    write_raw(bus, 4)

    async def handle(records: Sequence[Record]) -> Results:
        return (await parse_all(records))[: max(len(records) - 1, 1)]

    await finish(bus, handle, 4)
    assert len(set(parsed_ids(bus))) + len(bus.records("mail.dead")) == 4


async def test_the_breaker_stops_the_worker_before_the_topic_is_emptied_into_the_dead_letters() -> None:
    """When all records are rejected each start ends with an error, and its last batch stays uncommitted and unpublished."""
    bus = memory_bus(1)
    write_raw(bus, 400)

    async def handle(records: Sequence[Record]) -> Results:
        return [MalformedJson("all wrong") for _ in records]

    for batch_mails in (8, 64, 64, 64):
        host = Host(settings(batch_mails=batch_mails), bus)
        add_stage(host, handle)
        with pytest.raises(RejectRatioExceeded, match=r"of them as malformed_json.*MAILWEIR_REJECT_RATIO_MAX"):
            await asyncio.wait_for(host.serve(lambda _: None), 60)
        dead = len(bus.records("mail.dead"))
        assert dead == 16  # two batches of eight, and nothing after the restarts
    later = bus.source("mail.raw", "mailweir.ingest")
    assert await later.committed([("mail.raw", 0)]) == {("mail.raw", 0): dead}


async def test_a_hole_in_the_offsets_stops_the_worker_and_loses_nothing() -> None:
    """A reader that skips records the broker holds must not commit behind them; the next start reads them."""
    bus = memory_bus(1)
    write_raw(bus, 40)
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
        await asyncio.wait_for(host.serve(lambda _: None), 60)
    await finish(bus, parse_all, 40)
    assert len(set(parsed_ids(bus))) == 40


async def test_a_broker_that_does_not_say_what_a_hole_holds_is_asked_again() -> None:
    """No answer is not "nothing there": the reader goes back to its commit instead of over the hole, and nothing is lost."""
    bus = memory_bus(1)
    write_raw(bus, 40)
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
        await until(lambda: len(set(parsed_ids(bus))) == 40)
        assert host.metrics.registry.get_sample_value("mailweir_missing_offsets_total", {"stage": "ingest"}) == 0
    assert len(list(silences)) == 1


async def test_an_output_that_does_not_fit_the_next_topic_is_a_dead_letter() -> None:
    """The limit of the topics table holds before the broker has to refuse."""
    bus = memory_bus(1)
    bus.write(raw(1))

    async def handle(records: Sequence[Record]) -> Results:
        return [parsed(record).model_copy(update={"body": "x" * 5_000_000}) for record in records]

    await finish(bus, handle, 1)
    assert _letters(bus)[0][1].code == "output_too_large"
