"""What becomes of records that a topic will never take."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from factories import add_stage, finish, memory_bus, parse_all, parsed, raw, settings

from mailweir.schemas.errors import MailTooLarge, RecordError, WriteRefused
from mailweir.schemas.events import DeadLetter, Event
from mailweir.schemas.topics import DEAD
from mailweir.services.app import Host
from mailweir.services.memory import MemoryBus
from mailweir.services.stream import Outgoing, Record

HUGE = b"word " * 6_000_000  # above mail.dead's limit; mail.raw takes it from a producer that compresses


async def _reject_huge(records: Sequence[Record]) -> list[Event | RecordError]:
    large = MailTooLarge("above the limit")
    return [large if len(record.value) > 1_000_000 else parsed(record) for record in records]


async def _committed(bus: MemoryBus) -> int:
    [offset] = (await bus.source("mail.raw", "mailweir.ingest").committed([("mail.raw", 0)])).values()
    return offset


async def test_a_dead_letter_above_every_limit_leaves_its_bytes_where_they_are() -> None:
    """Cause, key and headers are written, its neighbours come out, and nothing waits for ever."""
    bus = memory_bus(1)
    bus.limits["mail.dead"] = DEAD.max_record_bytes
    bus.write(raw(1))
    bus.write(Outgoing("mail.raw", b"sales", HUGE, [("content-type", b"message/rfc822")]))
    bus.write(raw(2))
    await finish(bus, _reject_huge, 3)
    [record] = bus.records("mail.dead")
    letter = DeadLetter.from_headers(record.headers)
    assert (record.key, record.value, letter.omitted_bytes) == (b"sales", b"", len(HUGE))
    assert (letter.code, letter.source.topic, letter.source.offset) == ("too_large", "mail.raw", 1)
    assert ("content-type", b"message/rfc822") in record.headers
    assert await _committed(bus) == 3


async def test_a_dead_letter_keeps_its_bytes_where_they_fit() -> None:
    """A topic that takes more than the table says, as after compression, gets the original."""
    bus = memory_bus(1)
    bus.write(Outgoing("mail.raw", b"sales", HUGE))
    await finish(bus, _reject_huge, 1)
    [record] = bus.records("mail.dead")
    assert record.value == HUGE
    assert DeadLetter.from_headers(record.headers).omitted_bytes == 0


async def test_a_huge_key_and_huge_headers_are_left_out_too() -> None:
    """What remains is small whatever the record was."""
    bus = memory_bus(1)
    bus.limits["mail.dead"] = DEAD.max_record_bytes
    bus.write(Outgoing("mail.raw", b"k" * 20_000_000, b"x" * 2_000_000, [("x-own", b"h" * 20_000_000)]))
    await finish(bus, _reject_huge, 1)
    [record] = bus.records("mail.dead")
    assert (record.key, record.value) == (None, b"")
    assert DeadLetter.from_headers(record.headers).omitted_bytes == 2_000_000
    assert "x-own" not in dict(record.headers)


@pytest.mark.parametrize("topic", ["mail.parsed", "mail.dead"])
async def test_a_topic_that_takes_less_than_the_table_says_stops_the_worker(topic: str) -> None:
    """Good mail does not pay for a wrong limit: nothing is committed, the message names topic and command."""
    bus = memory_bus(1)
    bus.limits[topic] = 100
    for number in range(5):
        bus.write(raw(number))

    async def handle(records: Sequence[Record]) -> Sequence[Event | RecordError]:
        return [MailTooLarge("no") for _ in records] if topic == "mail.dead" else await parse_all(records)

    host = Host(settings(), bus)
    add_stage(host, handle)
    with pytest.raises(WriteRefused, match=topic):
        await asyncio.wait_for(host.serve(lambda _: None), 60)
    assert await _committed(bus) == 0
    assert not bus.records("mail.dead")
