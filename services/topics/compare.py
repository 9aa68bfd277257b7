"""A cluster against the topics table, without a connection: what differs, what is missing, what is to be created."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailweir.schemas.topics import TOPICS, Topic

__all__ = ["Difference", "Found", "NewTopic", "differences", "missing", "plan", "too_small"]

# More copies than this buy nothing that mail needs; fewer brokers than this cannot hold them.
_COPIES = 3
_LIMIT = "max.message.bytes"


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as a cluster has it."""

    partitions: int
    config: Mapping[str, str]  # the settings that the table names


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which a cluster is not as the table says."""

    topic: str  # full name
    what: str  # "topic", "partitions", or the setting as Kafka names it
    expected: str
    found: str

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.topic}: {self.what} is {self.found}, expected {self.expected}"


@dataclass(frozen=True, slots=True)
class NewTopic:
    """A topic that is to be created."""

    name: str  # full name
    partitions: int
    replication: int
    config: Mapping[str, str]


def missing(prefix: str, found: Mapping[str, Found], topics: Sequence[Topic] = TOPICS) -> tuple[str, ...]:
    """Full names of the topics that are not there, in the order of the table."""
    names = (topic.full_name(prefix) for topic in topics)
    return tuple(name for name in names if name not in found)


def plan(
    prefix: str,
    found: Mapping[str, Found],
    brokers: int,
    partitions: int | None = None,
    replication: int | None = None,
) -> tuple[NewTopic, ...]:
    """What has to be created so that every topic of the table exists.

    `partitions` and `replication` replace the table's partitions and the copies. A topic of one partition keeps one: whoever
    reads it whole relies on one order, as for which of two training runs was asked for first. Copies are as many as there
    are brokers, at most three; with three or more, a record counts as written once two brokers have it. A broker that lacks records never leads.
    """
    copies = replication or min(brokers, _COPIES)
    # a copy that was behind must not become the log: that would be loss without a trace, whatever the cluster's default is
    safety = {"unclean.leader.election.enable": "false"}
    if copies >= _COPIES:
        safety["min.insync.replicas"] = "2"
    absent = missing(prefix, found)
    return tuple(
        NewTopic(topic.full_name(prefix), _wanted(topic, partitions), copies, topic.config() | safety)
        for topic in TOPICS
        if topic.full_name(prefix) in absent
    )


def _wanted(topic: Topic, partitions: int | None) -> int:
    return topic.partitions if partitions is None or topic.partitions == 1 else partitions


def differences(
    prefix: str, found: Mapping[str, Found], partitions: int | None = None, user: str = ""
) -> tuple[Difference, ...]:
    """Every way in which the cluster is not as the table says, in the order of the table.

    The table's number of partitions is the least: more is how a cluster grows, and no difference, but for a topic of one, whose
    order counts. The settings must be equal:
    a larger size limit than the table's would let records in that fit no dead letter. To a `user` Kafka shows what it may see
    and nothing else, so an absent topic may be there.
    """
    absent = f"missing, or not visible to user {user}" if user else "missing"
    return tuple(
        difference
        for topic in TOPICS
        for difference in _of_topic(topic, topic.full_name(prefix), found, _wanted(topic, partitions), absent=absent)
    )


def too_small(prefix: str, found: Mapping[str, Found], topics: Sequence[Topic]) -> tuple[Difference, ...]:
    """The existing ones of `topics` that refuse records which the table allows."""
    return tuple(
        Difference(name, _LIMIT, f"at least {topic.max_record_bytes}", found[name].config[_LIMIT])
        for topic in topics
        if (name := topic.full_name(prefix)) in found and int(found[name].config[_LIMIT]) < topic.max_record_bytes
    )


def _of_topic(topic: Topic, name: str, found: Mapping[str, Found], partitions: int, *, absent: str) -> list[Difference]:
    if name not in found:
        return [Difference(name, "topic", "present", absent)]
    there = found[name]
    least = "exactly 1" if topic.partitions == 1 else f"at least {partitions}"
    wrong = there.partitions < partitions or (topic.partitions == 1 and there.partitions > 1)
    number = [Difference(name, "partitions", least, str(there.partitions))] if wrong else []
    return number + [
        Difference(name, setting, expected, there.config.get(setting, "unknown"))
        for setting, expected in topic.config().items()
        if there.config.get(setting) != expected
    ]
