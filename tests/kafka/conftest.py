"""Real brokers for the tests of this folder."""

from collections.abc import Iterator

import pytest

from mailweir.services.broker import KafkaCluster


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
