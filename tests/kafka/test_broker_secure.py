"""The secure cluster: who gets in, who may do what, and what stays of it."""

import gc
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError
from broker_clients import create, first, log_in, send, visible_topics

from mailweir.schemas.errors import KafkaSetupError
from mailweir.services.broker import Access, AclBinding, KafkaCluster, create_acls, users

pytestmark = pytest.mark.kafka


@pytest.fixture
def tls_leftovers() -> Iterator[None]:
    """Collect what aiokafka leaves open: connections whose login was refused, and TLS ones whose loop ended first."""
    yield
    gc.collect()


# For tests whose clients are refused; the fixture makes the warnings fall into the test that causes them.
leaves_sockets_open = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@leaves_sockets_open
@pytest.mark.usefixtures("tls_leftovers")
async def test_every_user_logs_in(kafka_secure: KafkaCluster, caplog: pytest.LogCaptureFixture) -> None:
    """Each user gets in with the password of the cluster's own file, which is private, and with no other; without TLS nobody does."""
    passwords = json.loads(kafka_secure.users_file.read_text())
    assert kafka_secure.users_file.stat().st_mode & 0o077 == 0
    for user in users.USERS:
        access = kafka_secure.access(user)
        assert access.password == passwords[user]
        await log_in(access)
    for refused in (
        replace(access, password="wrong"),
        replace(access, username="nobody"),
        Access(kafka_secure.bootstrap),
    ):
        with pytest.raises(KafkaConnectionError):
            await log_in(refused)
    assert "authentication" in caplog.text


@leaves_sockets_open
@pytest.mark.usefixtures("tls_leftovers")
async def test_users_do_what_they_may_and_no_more(kafka_secure: KafkaCluster) -> None:
    """Permissions hold by operation, name and prefix; the intruder has none, and granting twice changes nothing."""
    admin = kafka_secure.access()
    await create(admin, "mail.raw")
    granted = [
        AclBinding("client", "topic", "mail.raw", "literal", "write"),
        AclBinding("ingest", "topic", "mail.", "prefixed", "read"),
    ]
    await create_acls(admin, granted)
    await create_acls(admin, granted)
    await send(kafka_secure.access("client"), "mail.raw", b"mail")
    assert await first(kafka_secure.access("ingest"), "mail.raw") == b"mail"
    for user in ("ingest", "intruder"):
        with pytest.raises(TopicAuthorizationFailedError):
            await send(kafka_secure.access(user), "mail.raw", b"forged")
    with pytest.raises(TopicAuthorizationFailedError):
        await first(kafka_secure.access("client"), "mail.raw")
    assert await visible_topics(kafka_secure.access("client")) == ["mail.raw"]
    assert await visible_topics(kafka_secure.access("intruder")) == []
    with pytest.raises(KafkaSetupError, match="Kafka refused"):
        await create_acls(kafka_secure.access("intruder"), granted)


@leaves_sockets_open
@pytest.mark.usefixtures("tls_leftovers")
async def test_secure_data_survive_a_restart(tmp_path: Path) -> None:
    """Passwords, permissions and data of a secure cluster stay; its folder cannot be started without security."""
    acls = [AclBinding("client", "topic", "mail.", "prefixed", operation) for operation in ("read", "write")]
    with KafkaCluster(secure=True, directory=tmp_path, acls=acls) as cluster:
        client = cluster.access("client")
        await create(cluster.access(), "mail.raw")
        await send(client, "mail.raw", b"mail")
    with pytest.raises(KafkaSetupError, match="start it with --nodes 1 --secure"):
        KafkaCluster(directory=tmp_path).start()
    with KafkaCluster(secure=True, directory=tmp_path) as cluster:
        assert cluster.access("client") == client
        assert await first(client, "mail.raw") == b"mail"


@leaves_sockets_open
@pytest.mark.usefixtures("tls_leftovers")
async def test_secure_nodes_trust_each_other() -> None:
    """Three nodes copy records to each other over TLS, with a login."""
    with KafkaCluster(nodes=3, secure=True) as cluster:
        await create(cluster.access(), "mail.raw", copies=3, **{"min.insync.replicas": "3"})
        await send(cluster.access(), "mail.raw", b"mail")
