"""Real brokers for the tests of this folder."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from factories import settings
from rigs import PARTITIONS, Rig

from mailweir.schemas.topics import TOPICS
from mailweir.services.broker import KafkaCluster
from mailweir.services.memory import MemoryBus
from mailweir.services.stream import KafkaBus


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaCluster]:
    """One node without login, shared by the whole run: a test names its own topics and groups, and breaks nothing."""
    with KafkaCluster() as cluster:
        yield cluster


@pytest.fixture
def broker() -> Iterator[KafkaCluster]:
    """A cluster of its own for one test, which may break it or counts what is on its topics."""
    with KafkaCluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def kafka_secure() -> Iterator[KafkaCluster]:
    """One node with TLS, a user per agent, and no permission but the administrator's."""
    with KafkaCluster(secure=True) as cluster:
        yield cluster


@pytest.fixture(params=["memory", "kafka"])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """All topics under a prefix of their own, on the bus in memory and on the broker."""
    prefix = f"t{uuid4().hex[:8]}"
    names = [topic.full_name(prefix) for topic in TOPICS]
    if request.param == "memory":
        yield Rig(MemoryBus(dict.fromkeys(names, PARTITIONS)), prefix)
        return
    cluster: KafkaCluster = request.getfixturevalue("kafka")
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    await admin.start()
    sizes = {"max.message.bytes": str(27 * 1024 * 1024)}
    await admin.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs=sizes) for name in names])
    yield Rig(KafkaBus(settings(kafka_bootstrap=cluster.bootstrap, session_timeout_ms=6_000)), prefix)
    await admin.delete_topics(names)
    await admin.close()
