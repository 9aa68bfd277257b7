"""A topic read from its beginning, again and again up to its end, by a consumer without a group."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, TopicPartition

from mailweir.services.settings import Settings
from mailweir.services.stream.groupless import Groupless, consumer_of
from mailweir.services.stream.message import record_of
from mailweir.services.stream.record import Record

__all__ = ["KafkaJournal"]

_PULL_MS = 500
_PATIENCE_S = 30.0  # for all that is new; what a state is made of is small, and a broker that is away must be said so


class KafkaJournal:
    """Connects when it is first read; a consumer that failed is replaced and reads on where the last one was."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._topic = topic
        self._kafka = Groupless(lambda: consumer_of(settings, "journal", topic))
        self._next: dict[TopicPartition, int] = {}  # offset to read next

    async def stop(self) -> None:
        """Disconnect."""
        await self._kafka.stop()

    async def rest(self) -> list[Record]:
        """Everything from where the last call ended, at first from the beginning, up to the end as it is now."""
        found: dict[TopicPartition, list[Record]] = {}
        positions = dict(self._next)
        late = f"{self._topic} was not read to its end within {_PATIENCE_S:.0f} s"
        await self._kafka.ask(f"read {self._topic}", _PATIENCE_S, late, lambda c: self._read(c, found, positions))
        self._next = positions  # only now: a call that failed is done again from the same place
        return [record for place in sorted(found) for record in found[place]]

    async def _read(
        self,
        consumer: AIOKafkaConsumer,
        found: dict[TopicPartition, list[Record]],
        positions: dict[TopicPartition, int],
    ) -> None:
        places = sorted(consumer.assignment())
        ends = await consumer.end_offsets(places)
        for place in places:
            consumer.seek(place, max(positions.get(place, 0), (await consumer.beginning_offsets([place]))[place]))
        while any([await consumer.position(place) < ends[place] for place in places]):
            for place, messages in (await consumer.getmany(*places, timeout_ms=_PULL_MS)).items():
                found.setdefault(place, []).extend(map(record_of, messages))
        for place in places:
            positions[place] = await consumer.position(place)
