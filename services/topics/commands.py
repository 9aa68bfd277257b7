"""What people and workers ask of topics: create, check, list, require."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailweir.schemas.errors import SettingsError, TopicMissing
from mailweir.schemas.topics import TOPICS, Topic
from mailweir.services.settings import Settings
from mailweir.services.topics import compare
from mailweir.services.topics.cluster import connect

__all__ = ["TopicRow", "apply", "check", "list_topics", "require"]

_DAY_MS = 24 * 60 * 60 * 1000
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class TopicRow:
    """One topic of the table, and whether the cluster has it."""

    name: str  # full name
    meaning: str
    key: str
    events: tuple[str, ...]
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    partitions: int  # the cluster's; the table's if the topic does not exist
    retention_ms: int  # -1: for ever
    compacted: bool
    max_record_bytes: int
    exists: bool

    @property
    def retention(self) -> str:
        """How long records are kept, for people."""
        if self.compacted:
            return "last per key"
        return "for ever" if self.retention_ms < 0 else f"{self.retention_ms // _DAY_MS} days"

    @property
    def size_limit(self) -> str:
        """Largest record, for people."""
        return f"{self.max_record_bytes // _MIB} MiB"


async def apply(settings: Settings, partitions: int | None = None, replication: int | None = None) -> list[str]:
    """Create every topic of the table that is missing; the full names of those created, in the order of the table.

    Nothing is changed on a topic that exists; `check` says what is different there. `partitions` replaces the
    table's but where that is one (the order of such a topic counts), `replication` the copies (as many as brokers, at most three).

    Raises:
        BrokerUnreachable: no broker answers in time, or it refuses our user.
        SettingsError: a number below 1, or more copies than brokers.
        SetupError: the cluster refuses for a reason of its own, which the message quotes.
    """
    for name, value in (("partitions", partitions), ("replication", replication)):
        if value is not None and value < 1:
            raise SettingsError(f"{name} is {value}; a topic has at least 1")
    async with connect(settings) as cluster:
        found = await cluster.find(_names(settings))
        new = compare.plan(settings.topic_prefix, found, await cluster.brokers(), partitions, replication)
        return await cluster.create(new) if new else []


async def check(settings: Settings, partitions: int | None = None) -> tuple[compare.Difference, ...]:
    """Every way in which the cluster's topics are not as the table says; empty if all is well.

    More partitions than the table's (or than `partitions`) are no difference, fewer are. Retention, cleanup policy and size
    limit must be equal.

    Raises:
        BrokerUnreachable: no broker answers in time, or it refuses our user.
    """
    async with connect(settings) as cluster:
        found = await cluster.find(_names(settings))
    return compare.differences(settings.topic_prefix, found, partitions, settings.kafka_username)


async def list_topics(settings: Settings) -> tuple[TopicRow, ...]:
    """The topics table, row by row, and whether the cluster has each.

    Raises:
        BrokerUnreachable: no broker answers in time, or it refuses our user.
    """
    async with connect(settings) as cluster:
        found = await cluster.find(_names(settings))
    return tuple(_row(topic, settings.topic_prefix, found.get(settings.topic_name(topic.name))) for topic in TOPICS)


async def require(settings: Settings, topics: Sequence[Topic]) -> None:
    """Return if a worker can work on `topics`; it never waits longer than two requests may take.

    Raises:
        TopicMissing: one does not exist, our user may not see it, or it refuses records of the size that the table allows.
        BrokerUnreachable: no broker answers in time, or it refuses our user.
    """
    prefix = settings.topic_prefix
    async with connect(settings) as cluster:
        found = await cluster.find({topic.full_name(prefix) for topic in topics})
    if absent := compare.missing(prefix, found, topics):
        who = f", or user {settings.kafka_username} may not see them" if settings.kafka_username else ""
        raise TopicMissing(
            f"not on the Kafka at {settings.kafka_bootstrap}: {', '.join(absent)}{who}. "
            "Create what is missing with `mailweir topics apply`.",
            topics=absent,
        )
    if small := compare.too_small(prefix, found, topics):
        raise TopicMissing(
            f"{'; '.join(map(str, small))}: large mail would not fit. Raise the limit with Kafka's kafka-configs tool "
            "(`mailweir topics check` shows all differences), or delete the topic and run `mailweir topics apply`.",
            topics=tuple(difference.topic for difference in small),
        )


def _names(settings: Settings) -> set[str]:
    return {settings.topic_name(topic.name) for topic in TOPICS}


def _row(topic: Topic, prefix: str, found: compare.Found | None) -> TopicRow:
    return TopicRow(
        name=topic.full_name(prefix),
        meaning=topic.meaning,
        key=topic.key,
        events=tuple(event.__name__ for event in topic.events),
        writers=topic.writers,
        readers=topic.readers,
        partitions=found.partitions if found else topic.partitions,
        retention_ms=topic.retention_ms,
        compacted=topic.compacted,
        max_record_bytes=topic.max_record_bytes,
        exists=found is not None,
    )
