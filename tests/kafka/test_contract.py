"""One contract, two buses: what the stream relies on holds on the real broker and on the in-memory twin."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from factories import add_stage, parse_all, raw, running, settings, until

from mailweir.schemas.errors import NotAMail, OffsetHole, RecordError, TopicMissing
from mailweir.schemas.events import Coordinates, Email, Event
from mailweir.schemas.topics import TOPICS
from mailweir.services.app import Host
from mailweir.services.broker import KafkaCluster
from mailweir.services.memory import MemoryBus
from mailweir.services.stream import Bus, KafkaBus, Kept, Outgoing, Record, Result, Source
from mailweir.services.stream.record import Partition

pytestmark = pytest.mark.kafka
PARTITIONS = 3


@dataclass
class Member:
    """A group member that keeps what it is told."""

    source: Source
    events: list[tuple[str, frozenset[Partition]]] = field(default_factory=list)
    owned: frozenset[Partition] = frozenset()

    async def start(self) -> Member:
        await self.source.start(self._revoked, self._assigned)
        return self

    async def _revoked(self, places: frozenset[Partition]) -> None:
        self.events.append(("revoked", places))
        self.owned = frozenset()

    async def _assigned(self, places: frozenset[Partition]) -> None:
        self.events.append(("assigned", places))
        self.owned = places

    async def read(self, count: int) -> list[Record]:
        """Exactly `count` records, or fail."""
        found: list[Record] = []
        async with asyncio.timeout(15):
            while len(found) < count:
                found += await self.source.pull(count - len(found), 200)
        return found


@dataclass
class Rig:
    """A bus with all topics under a prefix of its own."""

    bus: Bus
    prefix: str

    @property
    def topic(self) -> str:
        return f"{self.prefix}.raw"

    async def member(self, group: str = "g") -> Member:
        return await Member(self.bus.source(self.topic, f"{self.prefix}.{group}")).start()

    async def write(self, records: Sequence[Outgoing]) -> None:
        sink = self.bus.sink()
        await sink.start()
        await sink.send(records)
        await sink.stop()

    async def write_numbers(self, *numbers: int) -> None:
        await self.write([self.outgoing(n) for n in numbers])

    def outgoing(self, number: int) -> Outgoing:
        made = raw(number)
        return Outgoing(self.topic, made.key, made.value, made.headers)


@pytest.fixture(params=["memory", "kafka"])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    prefix = f"t{uuid4().hex[:8]}"
    names = [topic.full_name(prefix) for topic in TOPICS]
    if request.param == "memory":
        yield Rig(MemoryBus(dict.fromkeys(names, PARTITIONS)), prefix)
        return
    cluster: KafkaCluster = request.getfixturevalue("kafka")
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    await admin.start()
    sizes = {"max.message.bytes": str(27 * 1024 * 1024)}
    await admin.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs=sizes) for name in names])
    yield Rig(KafkaBus(settings(kafka_bootstrap=cluster.bootstrap, session_timeout_ms=6_000)), prefix)
    await admin.delete_topics(names)
    await admin.close()


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
    await until(lambda: len(first.owned) == PARTITIONS, 15)
    second = await rig.member()
    pulling = [asyncio.create_task(_pull_on(member)) for member in (first, second)]
    await until(lambda: bool(second.owned) and len(first.owned) + len(second.owned) == PARTITIONS, 15)
    assert not first.owned & second.owned
    assert [kind for kind, _ in first.events[-2:]] == ["revoked", "assigned"]
    pulling[1].cancel()
    await second.source.stop()
    await until(lambda: len(first.owned) == PARTITIONS, 15)
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
        await asyncio.wait_for(entered.wait(), 15)
        async with running(rig.bus, parse_all, **change):
            await until(lambda: 0 < first.stream.readers[0].progress.partitions < PARTITIONS, 15)
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
        await asyncio.wait_for(host.serve(lambda _: None), 30)
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
        await until(lambda: host.stream.readers[0].progress.finished == 3, 15)
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


async def test_a_batch_says_under_which_assignment_it_was_read(rig: Rig) -> None:
    """The number goes up when partitions are dealt anew: what a stage knew of them before is stale."""
    change = {"topic_prefix": rig.prefix, "group_prefix": rig.prefix}
    async with running(rig.bus, parse_all, **change) as first:
        [reader] = first.stream.readers
        await until(lambda: len(reader.assignment()[1]) == PARTITIONS, 15)
        before, places = reader.assignment()
        assert places == {(rig.topic, number) for number in range(PARTITIONS)}
        async with running(rig.bus, parse_all, **change):
            await until(lambda: 0 < len(reader.assignment()[1]) < PARTITIONS, 15)
            assert reader.assignment()[0] > before


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
