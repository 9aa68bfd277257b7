"""Records that retention took before they were read."""

from __future__ import annotations

from factories import finish, memory_bus, parse_all, raw, running, until

from mailweir.schemas.events import Email

PLACE = ("mail.raw", 0)


async def test_records_that_expired_unread_are_counted_and_not_taken_for_a_hole() -> None:
    """The log begins behind the commit: the worker goes on with what is there, and says how much it never saw."""
    bus = memory_bus(1)
    for number in range(5):
        bus.write(raw(number))
    await finish(bus, parse_all, 5)
    for number in range(5, 20):
        bus.write(raw(number))
    bus.expire(PLACE, 12)
    async with running(bus, parse_all) as host:
        await until(lambda: len(bus.records("mail.parsed")) == 13 or host.stream.readers[0].should_stop, 60)
        missing = host.metrics.registry.get_sample_value("mailweir_missing_offsets_total", {"stage": "ingest"})
    offsets = [Email.decode(record.value).source for record in bus.records("mail.parsed")]
    assert [place.offset for place in offsets if place] == [*range(5), *range(12, 20)]
    assert missing == 7
    assert await bus.source("mail.raw", "mailweir.ingest").committed([PLACE]) == {PLACE: 20}
