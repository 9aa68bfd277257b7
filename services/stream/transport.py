"""What the stream asks of Kafka, as two protocols: `KafkaSource`/`KafkaSink` and the in-memory twin both keep them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mailweir.schemas.events import Coordinates
from mailweir.services.stream.record import Outgoing, Partition, Record

__all__ = ["Bus", "Contact", "Journal", "Lag", "Lookup", "Scan", "Sink", "Source"]

Rebalanced = Callable[[frozenset[Partition]], Awaitable[None]]
"""Called with the partitions that are taken or given."""


@dataclass(frozen=True, slots=True)
class Lag:
    """How far behind a partition is."""

    end: int | None  # offset that the next record written will get; None until a fetch was answered
    position: int  # offset that is read next


@dataclass(frozen=True, slots=True)
class Contact:
    """Whether the broker still answers a source."""

    answered_at: float  # monotonic seconds of its last answer
    patience_s: float  # silence of this length is unusual
    trouble: str = ""  # what failed since then; empty while nothing has
    refused: bool = False  # it was a login that the broker refuses


class Source(Protocol):
    """A member of a consumer group on one topic."""

    async def start(self, on_revoked: Rebalanced, on_assigned: Rebalanced) -> None:
        """Join the group.

        Raises:
            BrokerUnreachable: no broker answers, or it refuses us.
            TopicMissing: the topic does not exist.
            DeliveryError: another member has our name.
        """

    async def stop(self) -> None:
        """Leave the group; nothing is committed."""

    async def pull(self, count: int, wait_ms: int) -> list[Record]:
        """At most `count` next records, in order within each partition; empty if none came within `wait_ms`.

        Raises:
            DependencyError: the broker is away; pull again.
            DeliveryError: another member has our name, and takes our partitions again and again.
        """

    async def commit(self, offsets: Mapping[Partition, int]) -> bool:
        """Commit the next offset to read per partition. False if the partitions are no longer ours.

        Raises:
            DependencyError: the broker is away; commit again.
            AccessRefused: no retry heals it.
        """

    async def committed(self, places: Collection[Partition]) -> Mapping[Partition, int]:
        """Per partition, the next offset to read by the group's commit; the beginning of the log if it never committed.

        Raises:
            DependencyError: the broker is away; ask again.
        """

    async def first_at_or_after(self, place: Partition, offset: int) -> int | None:
        """The first offset that the broker really holds from `offset` on, asked apart from the group.

        None only when it says that the log ends at or before `offset`.

        Raises:
            DependencyError: it does not say in time; ask again.
        """

    async def partitions(self) -> int:
        """How many partitions the topic has by now, asked apart from the group.

        Raises:
            TopicMissing: it is no longer there.
            DependencyError: the broker is away; ask again.
        """

    def seek(self, place: Partition, offset: int) -> None:
        """Read on from `offset`."""

    def contact(self) -> Contact:
        """When the broker answered last, be it a fetch or a heartbeat."""

    def lag(self) -> Mapping[Partition, Lag]:
        """End and position of every assigned partition that is known."""


class Sink(Protocol):
    """A producer."""

    async def start(self) -> None:
        """Connect. Raises BrokerUnreachable."""

    async def stop(self) -> None:
        """Flush and close."""

    async def send(self, records: Sequence[Outgoing]) -> None:
        """Write all records and wait until every one is confirmed by all in-sync replicas.

        Raises:
            DependencyError: some may not be written; send all again.
            WriteRefused: one of them can never be written as it is; the others may be written or not.
        """


class Lookup(Protocol):
    """Reads single records by where they lie, or by key. Belongs to no group: nothing is committed, nobody notices."""

    async def stop(self) -> None:
        """Disconnect."""

    async def at(self, places: Collection[Coordinates], wait_ms: int) -> Mapping[Coordinates, Record]:
        """The records of those places; one that expired, or never was, is left out.

        Raises:
            DependencyError: the broker does not give them all within `wait_ms`.
        """

    async def by_key(self, topic: str, since: Mapping[bytes, int], wait_ms: int) -> Mapping[bytes, Sequence[Record]]:
        """All records of those keys, oldest first, each from its time on (stamp in ms), read for no longer than `wait_ms`.

        They are looked for where the key's hash says: a topic that got more partitions since keeps its older records where
        they were, and these are not found.

        Raises:
            DependencyError: the broker does not answer.
        """


class Journal(Protocol):
    """Reads a topic from its beginning, again and again up to its end. Belongs to no group."""

    async def stop(self) -> None:
        """Disconnect."""

    async def rest(self) -> list[Record]:
        """What is new since the last call, at first everything, up to the end as it is when this call begins.

        Raises:
            DependencyError: the broker is away; the next call gives what this one did not.
        """


class Scan(Protocol):
    """Reads what a topic holds from a time on, once. Belongs to no group; what it holds in memory is one pull."""

    async def start(self, since_ms: int) -> None:
        """Connect, and go to the first record of each partition that is not older than `since_ms`.

        Raises:
            BrokerUnreachable: nobody answers, or our login is refused.
        """

    async def stop(self) -> None:
        """Disconnect."""

    async def to_end(self) -> int:
        """Fix the end where the log ends now, and say about how many records lie before it. Again: go on to the new end.

        Raises:
            DependencyError: the broker is away.
        """

    async def pull(self) -> list[Record]:
        """The next records before that end, each partition's in order; empty when all were given.

        Raises:
            DependencyError: the broker is away.
            AccessRefused: our user may not read the topic.
        """


class Bus(Protocol):
    """Makes sources, sinks, lookups, journals and scans: Kafka, or memory."""

    def source(self, topic: str, group: str) -> Source:
        """A new member of `group` on `topic` (full name)."""

    def sink(self) -> Sink:
        """A new producer."""

    def lookup(self) -> Lookup:
        """A new reader of single records; it connects when it is first asked."""

    def journal(self, topic: str) -> Journal:
        """A new reader of a whole topic (full name); it connects when it is first read."""

    def scan(self, topic: str) -> Scan:
        """A new reader of what a topic (full name) holds from a time on."""
