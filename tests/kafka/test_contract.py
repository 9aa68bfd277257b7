"""One contract, two buses: what the stream relies on holds on the real broker and on the in-memory twin."""

from __future__ import annotations

import asyncio
import time

import pytest
from factories import until
from rigs import PARTITIONS, Member, Rig

from mailweir.schemas.errors import TopicMissing
from mailweir.services.stream import Outgoing
from mailweir.services.stream.record import Partition

pytestmark = pytest.mark.kafka


async def test_records_come_back_whole_and_in_order(rig: Rig) -> None:
    """Key, bytes, headers and a time stamp survive; within a partition the order is that of writing."""
    await rig.write_numbers(*range(30))
    member = await rig.member()
    records = await member.read(30)
    await member.source.stop()
    sent = {rig.outgoing(n).value: rig.outgoing(n) for n in range(30)}
    for record in records:
        original = sent[record.value]
        assert (record.key, list(record.headers)) == (original.key, original.headers)
        assert record.timestamp_ms > 1_700_000_000_000
    for place in {record.place for record in records}:
        offsets = [record.offset for record in records if record.place == place]
        assert offsets == list(range(len(offsets)))


async def test_a_key_has_its_partition(rig: Rig) -> None:
    """The partition follows from the key as in Kafka's own clients: both buses agree on the number."""
    await rig.write([Outgoing(rig.topic, key, b"x") for key in (b"sales", b"support", b"sales", b"finance")])
    member = await rig.member()
    places = {(record.key, record.partition) for record in await member.read(4)}
    await member.source.stop()
    assert places == {(b"sales", 1), (b"support", 1), (b"finance", 2)}


async def test_what_was_committed_is_not_read_again_and_the_rest_is(rig: Rig) -> None:
    """A member that goes without committing leaves its records to the next; commits outlive members."""
    await rig.write_numbers(*range(20))
    first = await rig.member()
    done = (await first.read(20))[:12]
    highest: dict[Partition, int] = {}
    for record in done:
        highest[record.place] = max(highest.get(record.place, 0), record.offset + 1)
    assert await first.source.commit(highest)
    await first.source.stop()
    second = await rig.member()
    values = {record.value for record in await second.read(20 - sum(highest.values()))}
    assert await second.source.committed(second.owned) == {place: highest.get(place, 0) for place in second.owned}
    await second.source.stop()
    assert len(values) == 20 - sum(highest.values())


async def test_members_share_the_partitions_and_inherit_them(rig: Rig) -> None:
    """Two members divide the topic; the revocation is told first; whoever stays gets all back."""
    first = await rig.member()
    await until(lambda: len(first.owned) == PARTITIONS, 60)
    second = await rig.member()
    pulling = [asyncio.create_task(_pull_on(member)) for member in (first, second)]
    await until(lambda: bool(second.owned) and len(first.owned) + len(second.owned) == PARTITIONS, 60)
    assert not first.owned & second.owned
    assert [kind for kind, _ in first.events[-2:]] == ["revoked", "assigned"]
    pulling[1].cancel()
    await second.source.stop()
    await until(lambda: len(first.owned) == PARTITIONS, 60)
    pulling[0].cancel()
    await first.source.stop()


async def _pull_on(member: Member) -> None:
    while True:
        await member.source.pull(10, 50)


async def test_a_commit_for_somebody_elses_partition_is_refused(rig: Rig) -> None:
    """It answers False instead of raising or, worse, doing it."""
    await rig.write_numbers(1)
    member = await rig.member()
    await member.read(1)
    assert not await member.source.commit({(rig.topic, PARTITIONS + 5): 1})
    await member.source.stop()


async def test_seeking_reads_again_and_a_probe_sees_what_the_log_holds(rig: Rig) -> None:
    """`seek` moves only this member; `first_at_or_after` asks the log itself."""
    await rig.write([Outgoing(rig.topic, b"sales", str(n).encode()) for n in range(10)])
    member = await rig.member()
    [place] = {record.place for record in await member.read(10)}
    member.source.seek(place, 6)
    assert [record.value for record in await member.read(4)] == [b"6", b"7", b"8", b"9"]
    assert await member.source.first_at_or_after(place, 3) == 3
    assert await member.source.first_at_or_after(place, 9) == 9
    assert await member.source.first_at_or_after(place, 10) is None
    await member.source.stop()


async def test_a_member_knows_its_topic_and_hears_its_broker(rig: Rig) -> None:
    """How many partitions there are, asked apart from the group; the last answer is not long ago."""
    member = await rig.member()
    await member.source.pull(1, 200)
    assert await member.source.partitions() == PARTITIONS
    contact = member.source.contact()
    await member.source.stop()
    assert time.monotonic() - contact.answered_at < contact.patience_s
    assert not contact.refused
    stranger = rig.bus.source(f"{rig.prefix}.nothing", f"{rig.prefix}.other")
    with pytest.raises(TopicMissing, match=f"{rig.prefix}.nothing"):
        await stranger.partitions()
    await stranger.stop()


async def test_lag_is_end_minus_position(rig: Rig) -> None:
    """What was read is no lag, what was not is."""
    await rig.write([Outgoing(rig.topic, b"sales", str(n).encode()) for n in range(10)])
    member = await rig.member()
    await member.read(4)
    lags = {place: lag.end - lag.position for place, lag in member.source.lag().items()}
    await member.source.stop()
    assert sum(lags.values()) == 6


async def test_lag_grows_while_what_was_fetched_is_worked_on(rig: Rig) -> None:
    """Records that came after the last fetch are lag before anything is read again: a slow stage falls behind unseen otherwise."""
    await rig.write([Outgoing(rig.topic, b"sales", str(n).encode()) for n in range(10)])
    member = await rig.member()
    await member.read(4)
    await rig.write([Outgoing(rig.topic, b"sales", str(n).encode()) for n in range(10)])

    def behind() -> int:
        return sum(lag.end - lag.position for lag in member.source.lag().values())

    await until(lambda: behind() == 16)
    await member.source.stop()


async def test_large_and_empty_records_pass_side_by_side(rig: Rig) -> None:
    """A mail of 26 MB starves neither its own partition nor the others; a record without value stays a record."""
    large = b"m" * 26_000_000
    await rig.write([Outgoing(rig.topic, b"sales", large), Outgoing(rig.topic, b"finance", b"")])
    await rig.write_numbers(*range(20))
    member = await rig.member()
    records = await member.read(22)
    await member.source.stop()
    assert max(len(record.value) for record in records) == len(large)
    assert b"" in {record.value for record in records}


async def test_many_large_records_are_written_at_once(rig: Rig) -> None:
    """Eight times 26 MB in one call is more than a broker takes in one request; they arrive all the same."""
    large = b"m" * 26_000_000
    keys = [f"box{n}".encode() for n in range(8)]
    async with asyncio.timeout(60):
        await rig.write([Outgoing(rig.topic, key, large) for key in keys])
    member = await rig.member()
    records = await member.read(8)
    await member.source.stop()
    assert {record.key for record in records} == set(keys)
    assert {len(record.value) for record in records} == {len(large)}
