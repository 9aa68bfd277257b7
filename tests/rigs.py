"""A bus with topics of its own, for what must hold on Kafka and in memory alike."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from factories import raw

from mailweir.services.stream import Bus, Outgoing, Record, Source
from mailweir.services.stream.record import Partition

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
