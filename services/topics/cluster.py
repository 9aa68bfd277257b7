"""The topics of a cluster, asked and created through aiokafka's admin client; every wait is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    BrokerResponseError,
    ClusterAuthorizationFailedError,
    InvalidReplicationFactorError,
    KafkaError,
    NoError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)

from mailweir.schemas.errors import BrokerUnreachable, SettingsError, SetupError
from mailweir.schemas.topics import RAW
from mailweir.services.settings import Settings
from mailweir.services.stream.connection import admin_client, unreachable
from mailweir.services.topics import compare

__all__ = ["Cluster", "connect"]

_ASKED = dict.fromkeys(RAW.config(), "")  # the same settings for every topic; only the names are looked at
_POLL_S = 0.05


@asynccontextmanager
async def connect(settings: Settings) -> AsyncIterator[Cluster]:
    """A cluster to ask: connecting and asking may each take as long as one request.

    Raises:
        BrokerUnreachable: no broker answers in time, or it refuses the login.
    """
    seconds = settings.request_timeout_ms / 1_000
    try:
        async with admin_client(settings) as client, asyncio.timeout(seconds):
            yield Cluster(client, settings)
    except TimeoutError as error:
        raise unreachable(settings, TimeoutError(f"no answer within {seconds:g} s")) from error
    except (KafkaError, OSError) as error:
        raise unreachable(settings, error) from error


class Cluster:
    """A connected cluster."""

    def __init__(self, client: AIOKafkaAdminClient, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    async def brokers(self) -> int:
        """How many brokers there are."""
        return len((await self._client.describe_cluster())["brokers"])

    async def find(self, names: Collection[str]) -> dict[str, compare.Found]:
        """Those of `names` that exist and that our user may see.

        All topics are listed because asking for one by name would create it where auto-creation is on.
        """
        there = {topic["topic"]: topic for topic in await self._client.describe_topics() if topic["topic"] in names}
        configs = await self._configs(sorted(there))
        return {name: compare.Found(len(there[name]["partitions"]), config) for name, config in configs.items()}

    async def create(self, topics: Sequence[compare.NewTopic]) -> list[str]:
        """Create topics and wait until every partition has a leader; the names of those that did not exist.

        Raises:
            SettingsError: there are fewer brokers than copies asked for.
            BrokerUnreachable: our user may not create topics.
            SetupError: the cluster refuses for a reason of its own.
        """
        answer = await self._client.create_topics(
            [NewTopic(new.name, new.partitions, new.replication, topic_configs=dict(new.config)) for new in topics]
        )
        outcomes = {name: (for_code(code), message) for name, code, message in answer.topic_errors}  # in any order
        for new in topics:
            kind, message = outcomes[new.name]
            if kind not in {NoError, TopicAlreadyExistsError}:
                raise self._refused(f"create topic {new.name}", kind, message)
        created = [new.name for new in topics if outcomes[new.name][0] is NoError]
        await self._leaders(created)
        return created

    async def _leaders(self, names: Collection[str]) -> None:
        while not set(names) <= _led(await self._client.describe_topics()):  # noqa: ASYNC110 - only the cluster knows
            await asyncio.sleep(_POLL_S)

    async def _configs(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        if not names:
            return {}
        wanted = [ConfigResource(ConfigResourceType.TOPIC, name, _ASKED) for name in names]
        answers = await self._client.describe_configs(wanted)
        found = {}
        for code, message, _, name, entries in (item for answer in answers for item in answer.resources):
            kind = for_code(code)
            if kind is NoError:
                found[name] = {entry[0]: entry[1] for entry in entries}
            elif kind is not UnknownTopicOrPartitionError:  # that one was deleted meanwhile
                raise self._refused(f"describe the settings of topic {name}", kind, message)
        return found

    def _refused(self, what: str, kind: type[BrokerResponseError], message: str | None) -> SetupError:
        if kind in {TopicAuthorizationFailedError, ClusterAuthorizationFailedError}:
            user = self._settings.kafka_username or "anonymous"
            return BrokerUnreachable(
                f"Kafka does not let user {user} {what}: workers need Describe and DescribeConfigs on their topics, "
                "`mailweir topics apply` needs Create as well. Grant them, or set another MAILWEIR_KAFKA_USERNAME."
            )
        reason = message or kind.__name__
        if kind is InvalidReplicationFactorError:
            return SettingsError(f"cannot {what}: {reason}. Ask for at most as many copies as there are brokers.")
        return SetupError(f"cannot {what}: {reason}")


def _led(topics: Sequence[Mapping[str, Any]]) -> set[str]:
    """Names of the topics whose every partition has a leader."""
    return {
        topic["topic"]
        for topic in topics
        if topic["partitions"] and not any(part["error_code"] for part in topic["partitions"])
    }
