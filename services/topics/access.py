"""Who may do what, from the topics table: one Kafka user per party, nothing beyond its own topics and group."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from aiokafka.errors import KafkaError

from mailweir.schemas.topics import TOPICS, Topic
from mailweir.services.broker import AclBinding, send_acls
from mailweir.services.settings import Settings
from mailweir.services.stream.connection import admin_client, unreachable

__all__ = ["acl_bindings", "acl_commands", "grant"]

_CLUSTER = "kafka-cluster"  # the one name that Kafka knows for it
_WITHOUT_GROUP = {"operator", "reviewer", "watcher"}  # commands that people run read and commit nothing
_GROUPS_OF_THEIR_OWN = ("client", "watcher")


def acl_bindings(prefix: str, group_prefix: str) -> list[AclBinding]:
    """The permissions of every party, users being named like them, sorted.

    Writers write, readers read, agents in their own group `<group_prefix>.<user>`; Kafka lets both describe the topic. Everyone may
    see the settings of its topics, which a worker checks at its start. Client and watcher may use groups below
    `<group_prefix>.client.`, one for each consumer that shares the user.
    """
    found = {binding for topic in TOPICS for binding in _of_topic(topic, topic.full_name(prefix))}
    for reader in {reader for topic in TOPICS for reader in topic.readers} - _WITHOUT_GROUP:
        found.add(AclBinding(reader, "group", f"{group_prefix}.{reader}", "literal", "read"))
    for user in _GROUPS_OF_THEIR_OWN:
        found.add(AclBinding(user, "group", f"{group_prefix}.client.", "prefixed", "read"))
    for writer in {writer for topic in TOPICS for writer in topic.writers}:
        # implied by Write since Kafka 2.8 (KIP-679); older brokers ask for it
        found.add(AclBinding(writer, "cluster", _CLUSTER, "literal", "idempotent_write"))
    return sorted(found, key=lambda binding: (binding.principal, binding.encode()))


def acl_commands(bindings: Sequence[AclBinding]) -> Iterator[str]:
    """The same as lines for Kafka's own tool, one for each user and resource."""
    for (user, kind, name, pattern), same in itertools.groupby(bindings, key=_resource):
        resource = "--cluster" if kind == "cluster" else f"--{kind} {name} --resource-pattern-type {pattern}"
        operations = " ".join(f"--operation {''.join(map(str.title, one.operation.split('_')))}" for one in same)
        yield f"kafka-acls.sh --add --allow-principal User:{user} {operations} {resource}"


async def grant(settings: Settings, bindings: Sequence[AclBinding]) -> None:
    """Create them as the user of the settings; what is there stays.

    Raises:
        BrokerUnreachable: no broker answers in time, or it refuses our login.
        KafkaSetupError: our user may not give permissions, or the cluster has no authorizer.
    """
    try:
        async with admin_client(settings) as admin:
            await send_acls(admin._client, bindings)  # noqa: SLF001 - aiokafka's admin client creates one at a time, of topics only
    except (KafkaError, OSError) as error:
        raise unreachable(settings, error) from error


def _resource(binding: AclBinding) -> tuple[str, str, str, str]:
    return binding.principal, binding.resource_type, binding.resource, binding.pattern


def _of_topic(topic: Topic, name: str) -> Iterator[AclBinding]:
    for writer in topic.writers:
        yield AclBinding(writer, "topic", name, "literal", "write")
    for reader in topic.readers:
        yield AclBinding(reader, "topic", name, "literal", "read")
    for user in {*topic.writers, *topic.readers}:
        yield AclBinding(user, "topic", name, "literal", "describe_configs")
