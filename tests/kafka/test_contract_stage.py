"""The contract of both buses, seen from a stage: batches, rebalances, holes, what is kept."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

import pytest
from factories import add_stage, parse_all, running, settings, until
from rigs import PARTITIONS, Member, Rig

from mailweir.schemas.errors import NotAMail, OffsetHole, RecordError
from mailweir.schemas.events import Email, Event
from mailweir.services.app import Host
from mailweir.services.stream import Kept, Outgoing, Record, Result

pytestmark = pytest.mark.kafka


async def test_a_whole_stage_handles_every_record_once(rig: Rig) -> None:
    """The same host, agent and reader on either bus: every mail comes out, none twice, offsets committed."""
    await rig.write_numbers(*range(200))
    change = {"topic_prefix": rig.prefix, "group_prefix": rig.prefix, "batch_mails": 16}
    async with running(rig.bus, parse_all, **change):
        reader = Member(rig.bus.source(f"{rig.prefix}.parsed", f"{rig.prefix}.check"))
        await reader.start()
        emails = [Email.decode(record.value) for record in await reader.read(200)]
    assert len({email.email_id for email in emails}) == 200
    async with running(rig.bus, parse_all, **change):
        await asyncio.sleep(0.5)
    assert not await reader.source.pull(10, 300)
    await reader.source.stop()


async def test_a_rebalance_waits_for_the_batch_in_hand(rig: Rig) -> None:
    """A second worker joins in the middle of a slow batch: it is committed before its partitions go, so none repeats."""
    await rig.write_numbers(*range(14))
    change = {"topic_prefix": rig.prefix, "group_prefix": rig.prefix, "batch_mails": 14}
    entered = asyncio.Event()

    async def slow(records: Sequence[Record]) -> list[Event | RecordError]:
        entered.set()
        await asyncio.sleep(0.3)
        return await parse_all(records)

    async with running(rig.bus, slow, **change) as first:
        await asyncio.wait_for(entered.wait(), 60)
        async with running(rig.bus, parse_all, **change):
            await until(lambda: 0 < first.stream.readers[0].progress.partitions < PARTITIONS, 60)
            check = await Member(rig.bus.source(f"{rig.prefix}.parsed", f"{rig.prefix}.check")).start()
            await check.read(14)
            assert not await check.source.pull(10, 1_000)
            await check.source.stop()


async def test_a_hole_is_noticed_and_never_committed_over(rig: Rig) -> None:
    """A reader that skips records which the log holds stops the worker; the next one reads them."""
    await rig.write([Outgoing(rig.topic, b"sales", f"From: a\r\nSubject: {n}\r\n\r\nx".encode()) for n in range(40)])
    host = Host(settings(topic_prefix=rig.prefix, group_prefix=rig.prefix, batch_mails=4), rig.bus)
    add_stage(host, parse_all)
    [reader] = host.stream.readers
    pull, calls = reader._source.pull, itertools.count()

    async def skipping(room: int, wait_ms: int) -> list[Record]:
        records = await pull(room, wait_ms)
        if records and next(calls) == 2:
            reader._source.seek(records[-1].place, records[-1].offset + 11)
        return records

    reader._source.pull = skipping  # type: ignore[method-assign]
    with pytest.raises(OffsetHole, match="start the worker again"):
        await asyncio.wait_for(host.serve(lambda _: None), 60)
    check = Member(rig.bus.source(f"{rig.prefix}.parsed", f"{rig.prefix}.check"))
    await check.start()
    async with running(rig.bus, parse_all, topic_prefix=rig.prefix, group_prefix=rig.prefix):
        emails = [Email.decode(record.value) for record in await check.read(40)]
    await check.source.stop()
    assert len({email.email_id for email in emails}) == 40


async def test_what_is_kept_publishes_nothing_and_is_not_read_again(rig: Rig) -> None:
    """A stage keeps two of three records elsewhere and rejects one: one dead letter, all offsets committed, each counted."""
    await rig.write([Outgoing(rig.topic, b"sales", str(n).encode()) for n in range(3)])
    change = {"topic_prefix": rig.prefix, "group_prefix": rig.prefix}

    async def keep(records: Sequence[Record]) -> list[Result]:
        return [NotAMail("odd") if int(record.value) % 2 else Kept(record.value.decode()) for record in records]

    async with running(rig.bus, keep, **change) as host:
        await until(lambda: host.stream.readers[0].progress.finished == 3, 60)
        count = host.metrics.registry.get_sample_value
        assert count("mailweir_mails_total", {"stage": "ingest", "outcome": "kept"}) == 2
        assert count("mailweir_mails_total", {"stage": "ingest", "outcome": "rejected"}) == 1
    dead = await Member(rig.bus.source(f"{rig.prefix}.dead", f"{rig.prefix}.check")).start()
    assert [record.value for record in await dead.read(1)] == [b"1"]
    assert not await dead.source.pull(10, 300)
    await dead.source.stop()
    out = await Member(rig.bus.source(f"{rig.prefix}.parsed", f"{rig.prefix}.check")).start()
    assert not await out.source.pull(10, 300)
    await out.source.stop()
    member = await Member(rig.bus.source(rig.topic, f"{rig.prefix}.ingest")).start()
    assert not await member.source.pull(10, 300)
    await member.source.stop()


async def test_a_batch_says_under_which_assignment_it_was_read(rig: Rig) -> None:
    """The number goes up when partitions are dealt anew: what a stage knew of them before is stale."""
    change = {"topic_prefix": rig.prefix, "group_prefix": rig.prefix}
    async with running(rig.bus, parse_all, **change) as first:
        [reader] = first.stream.readers
        await until(lambda: len(reader.assignment()[1]) == PARTITIONS, 60)
        before, places = reader.assignment()
        assert places == {(rig.topic, number) for number in range(PARTITIONS)}
        async with running(rig.bus, parse_all, **change):
            await until(lambda: 0 < len(reader.assignment()[1]) < PARTITIONS, 60)
            assert reader.assignment()[0] > before
