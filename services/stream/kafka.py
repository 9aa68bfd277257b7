"""Kafka behind the stream's protocols, through aiokafka."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, ConsumerStoppedError, IllegalStateError, KafkaError

from mailweir.schemas.errors import BrokerUnreachable, DependencyError, TopicMissing
from mailweir.services.settings import Settings
from mailweir.services.stream.connection import admin_client, client_options, close, failure, unreachable
from mailweir.services.stream.journal import KafkaJournal
from mailweir.services.stream.line import Line
from mailweir.services.stream.lookup import KafkaLookup
from mailweir.services.stream.message import record_of
from mailweir.services.stream.producer import KafkaSink
from mailweir.services.stream.record import Partition, Record
from mailweir.services.stream.scan import KafkaScan
from mailweir.services.stream.seat import Seat
from mailweir.services.stream.transport import Contact, Lag, Rebalanced

__all__ = ["KafkaBus", "KafkaSource"]

# Members learn of a rebalance with their next heartbeat, and all wait for the last of them: with the usual third of a session
# of 60 s mails waited 40 s at each restart, with this 1.3 s (tests/kafka/test_rolling.py).
_HEARTBEAT_MS = 1_000
# A fetch takes about this much; one larger record still comes alone (KIP-74), so that it neither starves nor piles up.
_FETCH_BYTES = 16 * 1024 * 1024
_PARTITION_FETCH_BYTES = 1024 * 1024
_PROBE_SECONDS = 10.0


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    def __init__(self, on_revoked: Rebalanced, on_assigned: Rebalanced) -> None:
        self._on_revoked = on_revoked
        self._on_assigned = on_assigned

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        await self._on_revoked(frozenset((tp.topic, tp.partition) for tp in revoked))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        await self._on_assigned(frozenset((tp.topic, tp.partition) for tp in assigned))


class KafkaSource:
    """A group member that commits only when it is told to."""

    def __init__(self, topic: str, group: str, settings: Settings) -> None:
        self._topic = topic
        self._settings = settings
        heartbeat_ms = min(max(settings.session_timeout_ms // 3, 300), _HEARTBEAT_MS)
        self._seat = Seat(group, settings.instance, heartbeat_ms / 1_000)
        self._consumer = AIOKafkaConsumer(
            group_id=group,
            group_instance_id=f"{group}.{settings.instance}" if settings.instance else None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=heartbeat_ms,
            # a group may wait so long for a member that finishes its batch
            rebalance_timeout_ms=settings.session_timeout_ms + settings.rebalance_wait_ms,
            fetch_max_bytes=_FETCH_BYTES,
            max_partition_fetch_bytes=_PARTITION_FETCH_BYTES,
            **client_options(settings, group.rpartition(".")[2]),
        )
        self._line = Line(self._consumer._client, heartbeat_ms / 1_000)  # noqa: SLF001 - the one thing that all requests pass

    async def start(self, on_revoked: Rebalanced, on_assigned: Rebalanced) -> None:
        """Join the group."""

        async def joined(places: frozenset[Partition]) -> None:
            self._seat.taken(self._consumer._coordinator.member_id, time.monotonic())  # noqa: SLF001 - told nowhere else
            await on_assigned(places)

        self._consumer.subscribe([self._topic], listener=_Listener(on_revoked, joined))
        try:
            await self._consumer.start()
        except (KafkaError, OSError) as error:
            await self._consumer.stop()
            if self._seat.fenced(error):
                raise self._seat.shared() from error
            raise unreachable(self._settings, error) from error

    async def stop(self) -> None:
        """Leave the group."""
        self._line.close()
        await close(self._consumer.stop())
        await close(self._consumer._client.close())  # noqa: SLF001 - left open where the line above was cut short

    async def pull(self, count: int, wait_ms: int) -> list[Record]:
        """The next records."""
        self._seat.check(time.monotonic())
        try:
            found = await self._consumer.getmany(timeout_ms=wait_ms, max_records=count)
        except ConsumerStoppedError:
            return []
        except (KafkaError, OSError) as error:
            if self._seat.fenced(error):
                raise self._seat.shared() from error
            raise failure(f"read {self._topic}", error) from error
        return [record_of(message) for messages in found.values() for message in messages]

    async def commit(self, offsets: Mapping[Partition, int]) -> bool:
        """Commit next offsets."""
        try:
            await self._consumer.commit({TopicPartition(*place): offset for place, offset in offsets.items()})
        except (CommitFailedError, IllegalStateError):
            return False
        except (KafkaError, OSError) as error:
            raise failure(f"commit {self._topic}", error) from error
        return True

    async def committed(self, places: Collection[Partition]) -> Mapping[Partition, int]:
        """The group's offsets, or the beginning of the log; the beginnings in one request, which waits behind a fetch."""
        try:
            found = {place: await self._consumer.committed(TopicPartition(*place)) for place in places}
            new = [TopicPartition(*place) for place, offset in found.items() if offset is None]
            begins = await self._consumer.beginning_offsets(new) if new else {}
        except (KafkaError, OSError) as error:
            raise failure(f"look up the offsets of {self._topic}", error) from error
        return {place: int(begins[place] if offset is None else offset) for place, offset in found.items()}

    async def partitions(self) -> int:
        """As the cluster's list of topics says; asking for one by name would create it where auto-creation is on."""
        try:
            async with admin_client(self._settings) as client:
                found = {topic["topic"]: len(topic["partitions"]) for topic in await client.describe_topics()}
        except BrokerUnreachable as error:
            raise DependencyError(error.message) from error
        except (KafkaError, OSError) as error:
            raise failure(f"look for {self._topic}", error) from error
        if self._topic not in found:
            raise TopicMissing(
                f"{self._topic} is no longer on the Kafka at {self._settings.kafka_bootstrap}, or we may no longer see it. "
                "Create it with `mailweir topics apply` and start the worker again.",
                topics=(self._topic,),
            )
        return found[self._topic]

    async def first_at_or_after(self, place: Partition, offset: int) -> int | None:
        """What the broker really holds, asked by a consumer without a group."""
        name = f"{place[0]}[{place[1]}]"
        probe = AIOKafkaConsumer(
            isolation_level="read_committed", auto_offset_reset="earliest", **client_options(self._settings)
        )
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await probe.start()
                return await _first(probe, TopicPartition(*place), offset)
        except TimeoutError as error:
            raise DependencyError(
                f"{name} does not say in {_PROBE_SECONDS:.0f} s what it holds from {offset} on"
            ) from error
        except (KafkaError, OSError) as error:
            raise failure(f"probe {name}", error) from error
        finally:
            await probe.stop()

    def seek(self, place: Partition, offset: int) -> None:
        """Read on from `offset`."""
        with suppress(IllegalStateError):  # taken away meanwhile: whoever has it reads on from the commit
            self._consumer.seek(TopicPartition(*place), offset)

    def contact(self) -> Contact:
        """What our connections saw."""
        return self._line.contact()

    def lag(self) -> Mapping[Partition, Lag]:
        """End and position of the assigned partitions that have a position."""
        lags = {}
        for tp in self._consumer.assignment():
            state = self._consumer._subscription.subscription.assignment.state_value(tp)  # noqa: SLF001 - position() waits
            if state is not None and state.has_valid_position:
                lags[tp.topic, tp.partition] = Lag(end=self._consumer.highwater(tp), position=state.position)
        return lags


async def _first(probe: AIOKafkaConsumer, tp: TopicPartition, offset: int) -> int | None:
    begin, end = (await probe.beginning_offsets([tp]))[tp], (await probe.end_offsets([tp]))[tp]
    if end <= max(begin, offset):
        return None
    probe.assign([tp])
    probe.seek(tp, max(begin, offset))
    return int((await probe.getone()).offset)


class KafkaBus:
    """Sources, sinks, lookups, journals and scans on the cluster of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def source(self, topic: str, group: str) -> KafkaSource:
        """A new group member."""
        return KafkaSource(topic, group, self._settings)

    def sink(self) -> KafkaSink:
        """A new producer."""
        return KafkaSink(self._settings)

    def lookup(self) -> KafkaLookup:
        """A new reader of single records."""
        return KafkaLookup(self._settings)

    def journal(self, topic: str) -> KafkaJournal:
        """A new reader of a whole topic."""
        return KafkaJournal(self._settings, topic)

    def scan(self, topic: str) -> KafkaScan:
        """A new reader of what a topic holds from a time on."""
        return KafkaScan(self._settings, topic)
