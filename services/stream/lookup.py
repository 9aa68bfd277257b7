"""Single records by their place or key, read by a consumer without a group."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.partitioner import murmur2

from mailweir.schemas.events import Coordinates
from mailweir.services.settings import Settings
from mailweir.services.stream.groupless import Groupless, consumer_of
from mailweir.services.stream.message import record_of
from mailweir.services.stream.record import Record

__all__ = ["KafkaLookup", "partition_of"]

T = TypeVar("T")

# One mail is asked for, and what a broker gives of a partition at once is thrown away but for it: less than the 1 MiB of a stream.
_PARTITION_FETCH_BYTES = 128 * 1024
# Reading on is cheaper than a new fetch up to about so many records: 128 KiB of mail.
_NEAR = 64
_PULL_MS = 500


def partition_of(key: bytes, partitions: int) -> int:
    """Where Kafka's own clients put a key."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


class KafkaLookup:
    """Connects when it is first asked; a consumer that failed is replaced."""

    def __init__(self, settings: Settings) -> None:
        fetch = {"max_partition_fetch_bytes": _PARTITION_FETCH_BYTES}
        self._kafka = Groupless(lambda: consumer_of(settings, "lookup", **fetch))

    async def stop(self) -> None:
        """Disconnect."""
        await self._kafka.stop()

    async def at(self, places: Collection[Coordinates], wait_ms: int) -> Mapping[Coordinates, Record]:
        """One pass over each partition, in the order of offsets, all partitions at once."""
        wanted: dict[TopicPartition, list[int]] = defaultdict(list)
        for place in sorted(set(places), key=lambda place: place.offset):
            wanted[TopicPartition(place.topic, place.partition)].append(place.offset)
        return await self._within(wait_ms, "find records by their place", lambda c: _by_place(c, wanted))

    async def by_key(self, topic: str, since: Mapping[bytes, int], wait_ms: int) -> Mapping[bytes, Sequence[Record]]:
        """Read the partitions of the keys from the earliest time asked for to their end."""
        enough = asyncio.get_running_loop().time() + wait_ms / 1_000
        return await self._within(2 * wait_ms, f"search {topic}", lambda c: _by_key(c, topic, since, enough))

    async def _within(self, wait_ms: int, doing: str, work: Callable[[AIOKafkaConsumer], Awaitable[T]]) -> T:
        late = f"Kafka did not let us {doing} within {wait_ms} ms"
        return await self._kafka.ask(doing, wait_ms / 1_000, late, work)


async def _by_place(
    consumer: AIOKafkaConsumer, wanted: Mapping[TopicPartition, list[int]]
) -> dict[Coordinates, Record]:
    found: dict[Coordinates, Record] = {}
    left = {place: offsets for place in await _existing(consumer, wanted) if (offsets := wanted[place])}
    left = await _held(consumer, left)
    if not left:
        return found
    consumer.assign(list(left))
    for place, offsets in left.items():
        consumer.seek(place, offsets[0])
    while left:
        for messages in (await consumer.getmany(*left, timeout_ms=_PULL_MS)).values():
            records = map(record_of, messages)
            found |= {one.coordinates: one for one in records if one.offset in left[TopicPartition(*one.place)]}
        left = {place: more for place, offsets in left.items() if (more := await _go_on(consumer, place, offsets))}
    consumer.unsubscribe()
    return found


async def _go_on(consumer: AIOKafkaConsumer, place: TopicPartition, offsets: Sequence[int]) -> list[int]:
    """What is still to come of a partition, jumping to it unless it comes anyway; one that is done is left alone."""
    position = await consumer.position(place)
    more = [offset for offset in offsets if offset >= position]
    if not more:
        consumer.pause(place)
    elif more[0] > position + _NEAR:
        consumer.seek(place, more[0])
    return more


async def _existing(consumer: AIOKafkaConsumer, places: Collection[TopicPartition]) -> list[TopicPartition]:
    """Those that the cluster has: asking for another would wait for it to appear."""
    numbers = {topic: await _partitions(consumer, topic) for topic in {place.topic for place in places}}
    return [place for place in places if place.partition in numbers[place.topic]]


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> frozenset[int]:
    found = consumer.partitions_for_topic(topic)
    if not found:
        await consumer._client.add_topic(topic)  # noqa: SLF001 - a consumer without a subscription knows no topic yet
        found = consumer.partitions_for_topic(topic)
    return frozenset(found or ())


async def _held(
    consumer: AIOKafkaConsumer, wanted: Mapping[TopicPartition, list[int]]
) -> dict[TopicPartition, list[int]]:
    """The offsets that lie between the beginning and the end of their log; for others a consumer would wait, or be reset."""
    if not wanted:
        return {}
    begins, ends = await consumer.beginning_offsets(list(wanted)), await consumer.end_offsets(list(wanted))
    there = {p: [offset for offset in found if begins[p] <= offset < ends[p]] for p, found in wanted.items()}
    return {place: offsets for place, offsets in there.items() if offsets}


async def _by_key(
    consumer: AIOKafkaConsumer, topic: str, since: Mapping[bytes, int], enough: float
) -> dict[bytes, list[Record]]:
    found: dict[bytes, list[Record]] = {key: [] for key in since}
    partitions = await _partitions(consumer, topic)
    times: dict[TopicPartition, int] = {}
    for key, stamp in since.items() if partitions else ():
        place = TopicPartition(topic, partition_of(key, len(partitions)))
        times[place] = min(stamp, times.get(place, stamp))
    async for message in _from(consumer, times, enough):
        if message.key in found:
            found[message.key].append(record_of(message))
    return found


async def _from(consumer: AIOKafkaConsumer, times: Mapping[TopicPartition, int], enough: float) -> AsyncIterator[Any]:
    """Everything in these partitions from those times to the end as it is now, or until it is `enough` (loop's clock)."""
    if not times:
        return
    starts, ends = await consumer.offsets_for_times(dict(times)), await consumer.end_offsets(list(times))
    left = {place for place, start in starts.items() if start is not None and start.offset < ends[place]}
    if not left:
        return
    consumer.assign(list(left))
    for place in left:
        consumer.seek(place, starts[place].offset)
    while left:
        for messages in (await consumer.getmany(*left, timeout_ms=_PULL_MS)).values():
            for message in messages:
                yield message
        left = {place for place in left if await consumer.position(place) < ends[place]}
        if asyncio.get_running_loop().time() > enough:
            break
    consumer.unsubscribe()
