"""A topic read without a consumer group: nothing is committed, so that looking changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from mailweir.schemas.errors import AccessRefused, DependencyError
from mailweir.schemas.topics import Topic
from mailweir.services.settings import Settings
from mailweir.services.stream.connection import unreachable
from mailweir.services.stream.groupless import consumer_of
from mailweir.services.stream.message import record_of
from mailweir.services.stream.record import Record

__all__ = ["Tail"]

_PULL_MS = 500
_SILENCE_S = 20.0  # what is in the log comes at once; after so long without any, the broker is away


class Tail:
    """All partitions of a topic that exists; of a missing one it would wait for ever."""

    def __init__(self, settings: Settings, topic: Topic) -> None:
        self.topic = settings.topic_name(topic.name)
        self._settings = settings
        self._consumer = consumer_of(settings, "", self.topic)
        self._places: list[TopicPartition] = []

    async def __aenter__(self) -> Self:
        """Connect; the place to read from is the beginning until another is chosen.

        Raises:
            BrokerUnreachable: nobody answers, or our login is refused.
        """
        try:
            await self._consumer.start()
        except (KafkaError, OSError) as error:
            await self._consumer.stop()
            raise unreachable(self._settings, error) from error
        self._places = sorted(self._consumer.assignment())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def skip_to_end(self) -> None:
        """Read only what is written from now on."""
        for place, end in (await self._ends()).items():
            self._consumer.seek(place, end)

    async def pull(self, wait_ms: int = _PULL_MS) -> list[Record]:
        """The next records; empty if none came in time."""
        found = await self._ask(self._consumer.getmany(timeout_ms=wait_ms))
        return [record_of(message) for messages in found.values() for message in messages]

    async def new(self) -> AsyncIterator[Record]:
        """Every record from the chosen place on, for ever."""
        while True:
            for record in await self.pull():
                yield record

    async def present(self, last: int) -> AsyncIterator[Record]:
        """The records that are there now, at most the `last` of each partition."""
        begins = await self._ask(self._consumer.beginning_offsets(self._places))
        ends = {place: end for place, end in (await self._ends()).items() if end > begins[place]}
        for place in self._places:
            self._consumer.seek(place, max(begins[place], ends.get(place, 0) - last))
        async for record in self._until(ends):
            yield record

    async def since(self, stamp_ms: int) -> AsyncIterator[Record]:
        """The records that are there now, from this time stamp on."""
        starts = await self._ask(self._consumer.offsets_for_times(dict.fromkeys(self._places, stamp_ms)))
        ends = await self._ends()
        begins = {place: start.offset if start else ends[place] for place, start in starts.items()}
        for place, begin in begins.items():
            self._consumer.seek(place, begin)
        async for record in self._until({place: end for place, end in ends.items() if end > begins[place]}):
            yield record

    async def _until(self, ends: Mapping[TopicPartition, int]) -> AsyncIterator[Record]:
        """From where the consumer stands to these offsets."""
        silent_since = asyncio.get_running_loop().time()
        while await self._before(ends):
            records = await self.pull()
            for record in records:
                if record.offset < ends.get(TopicPartition(*record.place), 0):
                    yield record
            now = asyncio.get_running_loop().time()
            silent_since = now if records else silent_since
            if now - silent_since > _SILENCE_S:
                raise DependencyError(f"{self.topic} says nothing for {_SILENCE_S:.0f} s although it holds records")

    async def at(self, partition: int, offset: int) -> Record | None:
        """The record of that place; None if there is none."""
        place = TopicPartition(self.topic, partition)
        if place not in self._places:
            return None
        begin, end = (await self._ask(self._consumer.beginning_offsets([place])))[place], (await self._ends())[place]
        if not begin <= offset < end:
            return None
        self._consumer.pause(*(other for other in self._places if other != place))
        self._consumer.seek(place, offset)
        async with asyncio.timeout(_SILENCE_S):
            async for record in self.new():
                if record.partition == partition and record.offset >= offset:  # some may have come before the seek
                    return record if record.offset == offset else None
        return None

    async def _before(self, ends: Mapping[TopicPartition, int]) -> bool:
        return any([await self._consumer.position(place) < end for place, end in ends.items()])

    async def _ends(self) -> dict[TopicPartition, int]:
        found: dict[TopicPartition, int] = await self._ask(self._consumer.end_offsets(self._places))
        return found

    async def _ask(self, request: Any) -> Any:
        try:
            return await request
        except KafkaError as error:
            if "Authorization" in type(error).__name__:
                raise AccessRefused(f"Kafka does not let us read {self.topic}: {type(error).__name__}") from error
            raise DependencyError(f"cannot read {self.topic}: {type(error).__name__} {error}") from error
