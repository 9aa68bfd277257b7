"""What a topic holds from a time on, read once and in order, by a consumer without a group."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from mailweir.schemas.errors import DependencyError
from mailweir.services.settings import Settings
from mailweir.services.stream.connection import close, failure, unreachable
from mailweir.services.stream.groupless import consumer_of
from mailweir.services.stream.message import record_of
from mailweir.services.stream.record import Record
from mailweir.services.stream.transport import Journal

__all__ = ["JournalScan", "KafkaScan"]

T = TypeVar("T")

_PULL_MS = 500
_PULL_RECORDS = 500  # of a few kB each: what is held at a time
_FEW = 4  # that a journal's scan gives at once: more than one, and not all
_SILENCE_S = 30.0  # what is in the log comes at once; after so long without any, the broker is away


class KafkaScan:
    """Goes from a time to an end that is fixed when it is asked for; `to_end` again goes on from there."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self._consumer = consumer_of(settings, "scan", topic)
        self._ends: dict[TopicPartition, int] = {}

    async def start(self, since_ms: int) -> None:
        """Connect, and go to the first record of each partition that is not older than `since_ms`."""
        try:
            await self._consumer.start()
        except (KafkaError, OSError) as error:
            await self.stop()
            raise unreachable(self._settings, error) from error
        places = sorted(self._consumer.assignment())
        starts = await self._ask(self._consumer.offsets_for_times(dict.fromkeys(places, since_ms)))
        ends = await self._ask(self._consumer.end_offsets(places))
        for place in places:
            found = starts.get(place)
            self._consumer.seek(place, found.offset if found else ends[place])

    async def stop(self) -> None:
        """Disconnect."""
        await close(self._consumer.stop())

    async def to_end(self) -> int:
        """Fix the end where the log ends now; about how many records lie before it."""
        self._ends = await self._ask(self._consumer.end_offsets(sorted(self._consumer.assignment())))
        left = [end - int(await self._consumer.position(place)) for place, end in self._ends.items()]
        return sum(count for count in left if count > 0)

    async def pull(self) -> list[Record]:
        """The next records before the end, each partition's in order; empty when all were given."""
        silent_since = asyncio.get_running_loop().time()
        while left := [p for p, end in self._ends.items() if await self._consumer.position(p) < end]:
            pulled = await self._ask(self._consumer.getmany(*left, timeout_ms=_PULL_MS, max_records=_PULL_RECORDS))
            found = [record_of(m) for p, messages in pulled.items() for m in messages if m.offset < self._ends[p]]
            self._turn_back({place: messages for place, messages in pulled.items() if messages})
            if found:
                return found
            if asyncio.get_running_loop().time() - silent_since > _SILENCE_S:
                raise DependencyError(f"{self._topic} says nothing for {_SILENCE_S:.0f} s although it holds records")
        return []

    def _turn_back(self, pulled: dict[TopicPartition, list[object]]) -> None:
        """What came from behind the end is read again by whoever goes on from there."""
        for place, messages in pulled.items():
            if messages[-1].offset >= self._ends[place]:  # type: ignore[attr-defined]  # aiokafka has no types
                self._consumer.seek(place, self._ends[place])

    async def _ask(self, request: Awaitable[T]) -> T:
        try:
            return await request
        except (KafkaError, OSError) as error:
            raise failure(f"read {self._topic}", error) from error


class JournalScan:
    """The same over a journal, which reads all that is there at once: for topics as small as those of tests."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._since_ms = 0
        self._left: list[Record] = []

    async def start(self, since_ms: int) -> None:
        """From this time on."""
        self._since_ms = since_ms

    async def stop(self) -> None:
        """Disconnect."""
        await self._journal.stop()

    async def to_end(self) -> int:
        """As far as the topic goes now."""
        self._left += [record for record in await self._journal.rest() if record.timestamp_ms >= self._since_ms]
        return len(self._left)

    async def pull(self) -> list[Record]:
        """A few."""
        pulled, self._left = self._left[:_FEW], self._left[_FEW:]
        return pulled
