"""Who may do what, from the topics table: one Kafka user per agent, nothing beyond its own topics and group."""

from __future__ import annotations

from collections.abc import Iterator

from mailweir.schemas.topics import TOPICS, Topic
from mailweir.services.broker import AclBinding

__all__ = ["acl_bindings"]

_CLUSTER = "kafka-cluster"  # the one name that Kafka knows for it


def acl_bindings(prefix: str, group_prefix: str) -> list[AclBinding]:
    """The permissions of every agent and of the client, users being named like them, sorted.

    Writers write, readers read with their own group `<group_prefix>.<user>`; Kafka lets both describe the topic. Everyone may
    see the settings of its topics, which a worker checks at its start. The client may also use groups below
    `<group_prefix>.client.`, one for each consumer that shares the user.
    """
    found = {binding for topic in TOPICS for binding in _of_topic(topic, topic.full_name(prefix))}
    for reader in {reader for topic in TOPICS for reader in topic.readers}:
        found.add(AclBinding(reader, "group", f"{group_prefix}.{reader}", "literal", "read"))
    found.add(AclBinding("client", "group", f"{group_prefix}.client.", "prefixed", "read"))
    for writer in {writer for topic in TOPICS for writer in topic.writers}:
        # implied by Write since Kafka 2.8 (KIP-679); older brokers ask for it
        found.add(AclBinding(writer, "cluster", _CLUSTER, "literal", "idempotent_write"))
    return sorted(found, key=lambda binding: (binding.principal, binding.encode()))


def _of_topic(topic: Topic, name: str) -> Iterator[AclBinding]:
    for writer in topic.writers:
        yield AclBinding(writer, "topic", name, "literal", "write")
    for reader in topic.readers:
        yield AclBinding(reader, "topic", name, "literal", "read")
    for user in {*topic.writers, *topic.readers}:
        yield AclBinding(user, "topic", name, "literal", "describe_configs")
