"""The contract of both buses for those that only look: single records, journals, scans."""

from __future__ import annotations

import asyncio
import time

import pytest
from rigs import PARTITIONS, Rig

from mailweir.schemas.events import Coordinates
from mailweir.services.stream import Outgoing

pytestmark = pytest.mark.kafka


async def test_single_records_are_found_by_their_place(rig: Rig) -> None:
    """Many at once, far apart and side by side; what never was, or lies on a topic or partition that is not there, is left out."""
    await rig.write([Outgoing(rig.topic, f"box{n % 5}".encode(), str(n).encode()) for n in range(600)])
    member = await rig.member()
    written = {record.coordinates: record for record in await member.read(600)}
    await member.source.stop()
    wanted = [place for place in written if place.offset % 70 < 2]
    nowhere = [
        Coordinates(topic=rig.topic, partition=0, offset=100_000),
        Coordinates(topic=rig.topic, partition=PARTITIONS, offset=0),
        Coordinates(topic=f"{rig.prefix}.nothing", partition=0, offset=0),
    ]
    lookup = rig.bus.lookup()
    found = await lookup.at([*wanted, *nowhere, *wanted], 15_000)
    assert found == {place: written[place] for place in wanted}
    assert await lookup.at(nowhere, 15_000) == {}
    assert await lookup.at([], 15_000) == {}
    assert await lookup.at(wanted[-1:], 15_000) == {wanted[-1]: written[wanted[-1]]}
    await lookup.stop()


async def test_records_are_found_by_their_key(rig: Rig) -> None:
    """All of a key from a time on, in order; a key that is not there, and a time after the last record, give nothing."""
    await rig.write([Outgoing(rig.topic, f"box{n % 5}".encode(), str(n).encode()) for n in range(50)])
    lookup = rig.bus.lookup()
    later = time.time_ns() // 1_000_000 + 60_000
    found = await lookup.by_key(rig.topic, {b"box3": 0, b"box4": later, b"nobody": 0}, 15_000)
    assert {key: [record.value for record in records] for key, records in found.items()} == {
        b"box3": [str(n).encode() for n in range(50) if n % 5 == 3],
        b"box4": [],
        b"nobody": [],
    }
    assert await lookup.by_key(f"{rig.prefix}.nothing", {b"box3": 0}, 15_000) == {b"box3": []}
    await lookup.stop()


async def test_a_journal_gives_a_topic_once_up_to_its_end(rig: Rig) -> None:
    """At first everything, then what is new, in order; two of them do not share a place, and none leaves a commit behind."""
    journal, other = rig.bus.journal(rig.topic), rig.bus.journal(rig.topic)
    assert await journal.rest() == []
    await rig.write([Outgoing(rig.topic, b"one box", str(n).encode()) for n in range(300)])
    first = await journal.rest()
    assert [record.value for record in first] == [str(n).encode() for n in range(300)]
    assert await journal.rest() == []
    await rig.write([Outgoing(rig.topic, f"box{n}".encode(), b"late") for n in range(20)])
    late = await journal.rest()
    assert [record.value for record in late] == [b"late"] * 20
    assert {record.coordinates for record in await other.rest()} == {record.coordinates for record in first + late}
    await journal.stop()
    assert await journal.rest() == []  # it connects again and goes on where it was
    await journal.stop()
    await other.stop()


async def test_a_scan_goes_from_a_time_to_an_end_and_on_to_the_next(rig: Rig) -> None:
    """Older records are left out; what is written after the end was fixed comes when a new end is asked for, once."""

    async def rest(*meanwhile: int) -> list[bytes]:
        expected, found = await scan.to_end(), []
        await rig.write_numbers(*meanwhile)
        while pulled := await scan.pull():
            found += pulled
        assert len(found) == expected
        for place in {record.place for record in found}:
            offsets = [record.offset for record in found if record.place == place]
            assert offsets == sorted(offsets)
        return sorted(record.value for record in found)

    await rig.write_numbers(*range(5))
    await asyncio.sleep(0.01)
    since = time.time_ns() // 1_000_000
    await asyncio.sleep(0.01)
    await rig.write_numbers(*range(5, 25))
    scan = rig.bus.scan(rig.topic)
    await scan.start(since)
    assert await rest(77) == sorted(rig.outgoing(number).value for number in range(5, 25))
    assert await rest() == [rig.outgoing(77).value]
    assert await rest() == []
    await scan.stop()
    late = rig.bus.scan(rig.topic)
    await late.start(since + 3_600_000)
    assert (await late.to_end(), await late.pull()) == (0, [])
    await late.stop()
