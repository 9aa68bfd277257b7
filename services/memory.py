"""`MemoryBus`: Kafka's contract in memory, for tests and for trying agents without a broker.

Topics with partitions, keys that keep to a partition, groups with eager rebalancing, commits that outlive members. It keeps
the same contract tests as the real broker (`tests/kafka/test_contract*.py`); it is no server and forgets all when it goes.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka.partitioner import murmur2

from mailweir.schemas.errors import DependencyError, TopicMissing, WriteRefused
from mailweir.schemas.events import Coordinates
from mailweir.services.stream.record import Outgoing, Partition, Record
from mailweir.services.stream.scan import JournalScan
from mailweir.services.stream.transport import Contact, Lag, Rebalanced

__all__ = ["MemoryBus"]


@dataclass
class _Group:
    members: list[_MemorySource] = field(default_factory=list)
    offsets: dict[Partition, int] = field(default_factory=dict)


class MemoryBus:
    """A cluster in memory. `away` makes every request fail, as a broker that is down; `limits` are those of topics."""

    def __init__(self, topics: Mapping[str, int]) -> None:
        """Create `topics`: full name → number of partitions."""
        self.away = False
        self.limits: dict[str, int] = {}  # topic → bytes above which it refuses a record
        self.patience_s = 5.0  # silence of a bus that is away becomes unusual after this
        self._logs: dict[Partition, list[Record]] = {
            (name, number): [] for name, count in topics.items() for number in range(count)
        }
        self._starts: dict[Partition, int] = {}  # first offset that has not expired; 0 if absent
        self._groups: dict[tuple[str, str], _Group] = {}  # (topic, group)
        self._keyless = itertools.count()
        self._written = asyncio.Event()

    def source(self, topic: str, group: str) -> _MemorySource:
        """A new group member."""
        return _MemorySource(self, topic, self._groups.setdefault((topic, group), _Group()))

    def sink(self) -> _MemorySink:
        """A new producer."""
        return _MemorySink(self)

    def lookup(self) -> _MemoryLookup:
        """A new reader of single records."""
        return _MemoryLookup(self)

    def records(self, topic: str) -> list[Record]:
        """Everything on a topic, partition by partition: open to assertions."""
        return [record for place in self.places(topic) for record in self._logs[place][self.start(place) :]]

    def held(self, topic: str) -> list[Record]:
        """The same; nothing where there is no such topic."""
        return self.records(topic) if any(name == topic for name, _ in self._logs) else []

    def places(self, topic: str) -> list[Partition]:
        """The partitions of a topic.

        Raises:
            TopicMissing: there is no such topic.
        """
        found = [place for place in self._logs if place[0] == topic]
        if not found:
            raise TopicMissing(f"no topic {topic} on this bus", topic=topic)
        return found

    def journal(self, topic: str) -> _MemoryJournal:
        """A new reader of a whole topic."""
        return _MemoryJournal(self, topic)

    def scan(self, topic: str) -> JournalScan:
        """A new reader of what a topic holds from a time on."""
        return JournalScan(self.journal(topic))

    def write(self, outgoing: Outgoing) -> Record:
        """Append one record."""
        self.require()
        places = self.places(outgoing.topic)
        if outgoing.size > self.limits.get(outgoing.topic, outgoing.size):
            raise WriteRefused(f"{outgoing.topic} does not take {outgoing.size} bytes", topic=outgoing.topic)
        # the default partitioner of Kafka's Java client
        chosen = next(self._keyless) if outgoing.key is None else murmur2(outgoing.key) & 0x7FFFFFFF
        topic, number = places[chosen % len(places)]
        log = self._logs[topic, number]
        stamp = time.time_ns() // 1_000_000
        record = Record(topic, number, len(log), outgoing.key, outgoing.value, tuple(outgoing.headers), stamp)
        log.append(record)
        self._written.set()
        return record

    def require(self) -> None:
        """Fail as a client does whose broker is down."""
        if self.away:
            raise DependencyError("the bus is away")

    def expire(self, place: Partition, before: int) -> None:
        """Drop the records below an offset, as retention does."""
        self._starts[place] = before

    def start(self, place: Partition) -> int:
        """The first offset that the log holds, or will hold."""
        return self._starts.get(place, 0)

    def log(self, place: Partition) -> list[Record]:
        """The log of one partition, what has expired included: the index is the offset."""
        return self._logs[place]

    def at(self, place: Coordinates) -> Record | None:
        """The record of a place, unless it expired or never was."""
        log = self._logs.get((place.topic, place.partition), [])
        first = self.start((place.topic, place.partition))
        return log[place.offset] if first <= place.offset < len(log) else None

    async def wait_for_write(self, wait_ms: int) -> None:
        """Until something is written, or the time is over."""
        self._written.clear()
        try:
            await asyncio.wait_for(self._written.wait(), max(wait_ms, 1) / 1_000)
        except TimeoutError:
            return


class _MemorySink:
    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus

    async def start(self) -> None:
        """Nothing to connect."""

    async def stop(self) -> None:
        """Nothing to flush."""

    async def send(self, records: Sequence[Outgoing]) -> None:
        """Write all."""
        for record in records:
            self._bus.write(record)


class _MemoryLookup:
    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus

    async def stop(self) -> None:
        """Nothing to disconnect."""

    async def at(self, places: Collection[Coordinates], wait_ms: int) -> Mapping[Coordinates, Record]:  # noqa: ARG002
        """What the logs hold there."""
        self._bus.require()
        return {place: record for place in places if (record := self._bus.at(place)) is not None}

    async def by_key(
        self,
        topic: str,
        since: Mapping[bytes, int],
        wait_ms: int,  # noqa: ARG002 - the bus answers at once
    ) -> Mapping[bytes, Sequence[Record]]:
        """What the logs hold of those keys."""
        self._bus.require()
        found: dict[bytes, list[Record]] = {key: [] for key in since}
        for record in self._bus.held(topic):
            if record.key is not None and record.timestamp_ms >= since.get(record.key, record.timestamp_ms + 1):
                found[record.key].append(record)
        return found


class _MemoryJournal:
    def __init__(self, bus: MemoryBus, topic: str) -> None:
        self._bus = bus
        self._topic = topic
        self._next: dict[Partition, int] = {}

    async def stop(self) -> None:
        """Nothing to disconnect."""

    async def rest(self) -> list[Record]:
        """What was written since the last call."""
        self._bus.require()
        found: list[Record] = []
        for place in self._bus.places(self._topic):
            found += self._bus.log(place)[max(self._next.get(place, 0), self._bus.start(place)) :]
            self._next[place] = len(self._bus.log(place))
        return found


class _MemorySource:
    def __init__(self, bus: MemoryBus, topic: str, group: _Group) -> None:
        self._bus = bus
        self._topic = topic
        self._group = group
        self._positions: dict[Partition, int] = {}
        self._listeners: tuple[Rebalanced, Rebalanced] | None = None
        self._answered_at = time.monotonic()

    async def start(self, on_revoked: Rebalanced, on_assigned: Rebalanced) -> None:
        """Join."""
        self._bus.places(self._topic)
        self._listeners = (on_revoked, on_assigned)
        self._group.members.append(self)
        await self._rebalance()

    async def stop(self) -> None:
        """Leave."""
        if self in self._group.members:
            self._group.members.remove(self)
            self._positions = {}
            await self._rebalance()

    async def pull(self, count: int, wait_ms: int) -> list[Record]:
        """The next records."""
        self._bus.require()
        found = self._take(count)
        if not found:
            await self._bus.wait_for_write(wait_ms)
            found = self._take(count)
        await asyncio.sleep(0)
        return found

    async def commit(self, offsets: Mapping[Partition, int]) -> bool:
        """Commit, if the partitions are ours."""
        self._bus.require()
        if not offsets.keys() <= self._positions.keys():
            return False
        self._group.offsets |= offsets
        return True

    async def committed(self, places: Collection[Partition]) -> Mapping[Partition, int]:
        """The group's offsets."""
        self._bus.require()
        return {place: self._group.offsets.get(place, self._bus.start(place)) for place in places}

    async def partitions(self) -> int:
        """Of the topic."""
        self._bus.require()
        return len(self._bus.places(self._topic))

    async def first_at_or_after(self, place: Partition, offset: int) -> int | None:
        """What the log holds."""
        self._bus.require()
        first = max(offset, self._bus.start(place))
        return first if first < len(self._bus.log(place)) else None

    def seek(self, place: Partition, offset: int) -> None:
        """Read on from `offset`."""
        if place in self._positions:
            self._positions[place] = offset

    def contact(self) -> Contact:
        """The bus answers whenever it is not away."""
        if self._bus.away:
            return Contact(self._answered_at, self._bus.patience_s, trouble="the bus is away")
        self._answered_at = time.monotonic()
        return Contact(self._answered_at, self._bus.patience_s)

    def lag(self) -> Mapping[Partition, Lag]:
        """End and position."""
        return {place: Lag(len(self._bus.log(place)), position) for place, position in self._positions.items()}

    def _take(self, count: int) -> list[Record]:
        taken: list[Record] = []
        for place, asked in self._positions.items():
            position = max(asked, self._bus.start(place))
            records = self._bus.log(place)[position : position + count - len(taken)]
            self._positions[place] = position + len(records)
            taken += records
        return taken

    async def _rebalance(self) -> None:
        """Eager, as the range assignor: all give all back, then partitions are dealt out."""
        members = self._group.members
        for member in members:
            await member.give_back()
        for number, place in enumerate(self._bus.places(self._topic)):
            if members:
                owner = members[number % len(members)]
                owner._positions[place] = self._group.offsets.get(place, 0)  # noqa: SLF001 - same class
        for member in members:
            await member.announce()

    async def give_back(self) -> None:
        """Revoke everything."""
        if self._listeners:
            await self._listeners[0](frozenset(self._positions))
        self._positions = {}

    async def announce(self) -> None:
        """Tell what was assigned."""
        if self._listeners:
            await self._listeners[1](frozenset(self._positions))
