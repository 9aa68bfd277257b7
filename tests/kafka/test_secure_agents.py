"""A user per agent on a secure cluster: each can do its work through the settings alone, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError
from pydantic import SecretStr
from secured import settings_of

from mailweir.schemas.errors import AccessRefused, BrokerUnreachable, KafkaSetupError, SettingsError, TopicMissing
from mailweir.schemas.topics import TOPICS
from mailweir.services import topics
from mailweir.services.broker import AclBinding, KafkaCluster
from mailweir.services.cli.app import exit_code
from mailweir.services.cli.models_versus import _words
from mailweir.services.cli.worker import STAGES
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus, Outgoing, Source
from mailweir.services.stream.connection import admin_client, client_options

pytestmark = pytest.mark.kafka

PARTIES = sorted({party for topic in TOPICS for party in (*topic.writers, *topic.readers)})


@dataclass
class Member:
    """What a group member was told."""

    given: asyncio.Event = field(default_factory=asyncio.Event)

    async def assigned(self, places: frozenset[tuple[str, int]]) -> None:
        """Ready to read."""
        if places:
            self.given.set()

    async def revoked(self, places: frozenset[tuple[str, int]]) -> None:
        """Nothing to finish."""


@pytest.fixture(scope="module")
def secure() -> Iterator[KafkaCluster]:
    """A secure cluster with the permissions of the topics table and its topics."""
    with KafkaCluster(secure=True, acls=topics.acl_bindings("mail", "mailweir")) as cluster:
        asyncio.run(topics.apply(settings_of(cluster, "admin"), partitions=1))
        yield cluster


@asynccontextmanager
async def member(settings: Settings, topic: str, group: str) -> AsyncIterator[Source]:
    """A group member that has its partitions."""
    source, told = KafkaBus(settings).source(topic, group), Member()
    try:
        await source.start(told.revoked, told.assigned)
        await asyncio.wait_for(told.given.wait(), 30)
        yield source
    finally:
        await source.stop()


async def write(settings: Settings, topic: str) -> None:
    """Write one record, giving up at the first refusal."""
    producer = AIOKafkaProducer(**client_options(settings), acks="all")
    try:
        await producer.start()
        await producer.send_and_wait(topic, b"x", key=b"k")
    finally:
        await producer.stop()


async def read(settings: Settings, topic: str) -> None:
    """Fetch until the end of the log is known, giving up at the first refusal."""
    place = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(**client_options(settings), enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        await consumer.start()
        consumer.assign([place])
        async with asyncio.timeout(60):
            while consumer.highwater(place) is None:
                await consumer.getmany(timeout_ms=100)
    finally:
        await consumer.stop()


async def join(settings: Settings, topic: str, group: str) -> None:
    """Become a member of a group, giving up at the first refusal."""
    consumer = AIOKafkaConsumer(topic, **client_options(settings), group_id=group)
    try:
        await consumer.start()
        await asyncio.wait_for(consumer.getone(), 60)
    finally:
        await consumer.stop()


async def refused(work: Coroutine[None, None, None]) -> bool:
    """True if Kafka refuses the topic, False if the work gets done."""
    try:
        await work
    except TopicAuthorizationFailedError:
        return True
    return False


@pytest.mark.parametrize(("user", "stage", "reads", "writes"), [
    ("ingest", "ingest", "mail.raw", ("mail.parsed", "mail.dead")),
    ("classify", "classify", "mail.parsed", ("mail.classified", "mail.classified.shadow", "mail.dead")),
    ("feedback", "feedback", "mail.feedback", ("mail.shards", "mail.dead")),
    ("review", "review", "mail.classified", ("mail.review", "mail.dead")),
    ("retrain", "retrain", "mail.shards", ("mail.retrain", "mail.models", "mail.dead")),
    ("trainer", "trainer", "mail.retrain", ("mail.retrain", "mail.models", "mail.dead")),
])  # fmt: skip
async def test_an_agent_can_do_its_work(
    secure: KafkaCluster, user: str, stage: str, reads: str, writes: tuple[str, ...]
) -> None:
    """Check its topics, join its group, read, write results and dead letters, commit: all through our own stream."""
    settings = settings_of(secure, user)
    mine = [topic for topic in TOPICS if topic.full_name("mail") in {reads, *writes}]
    await topics.require(settings, mine)
    await write(settings_of(secure, "admin"), reads)
    sink = KafkaBus(settings).sink()
    await sink.start()
    try:
        async with member(settings, reads, f"mailweir.{stage}") as source:
            records = await source.pull(10, 20_000)
            assert records
            await sink.send([Outgoing(topic, b"k", b"made") for topic in writes])
            assert await source.commit({record.place: record.offset + 1 for record in records})
            place = records[-1].place
            assert await source.committed([place]) == {place: records[-1].offset + 1}
    finally:
        await sink.stop()


async def test_the_client_sends_mail_and_follows_decisions(secure: KafkaCluster) -> None:
    """Also in groups of its own, as many as it likes."""
    client = settings_of(secure, "client")
    await write(client, "mail.raw")
    await write(settings_of(secure, "classify"), "mail.classified")
    await read(client, "mail.classified")
    for group in ("mailweir.client", "mailweir.client.billing"):
        async with member(client, "mail.classified", group) as source:
            assert await source.pull(1, 20_000)


async def test_what_people_said_is_for_the_user_feedback_only(
    secure: KafkaCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """`models diff` of the client goes on without it and says so; that of feedback reads all that it compares."""
    await write(settings_of(secure, "client"), "mail.feedback")
    for user, told in (("client", True), ("feedback", False)):
        settings = settings_of(secure, user)
        assert await _words(settings, 0, {}) == []
        assert ("who was right is not known" in capsys.readouterr().err) == told
        for topic in ("mail.classified", "mail.classified.shadow"):
            await read(settings, topic)


@pytest.mark.parametrize("user", [*PARTIES, "intruder"])
async def test_a_user_writes_and_reads_what_the_table_says_and_nothing_else(secure: KafkaCluster, user: str) -> None:
    """All topics: it sees those that it works on, and of these it writes or reads only what is its own."""
    settings = settings_of(secure, user)
    seen = {row.name for row in await topics.list_topics(settings) if row.exists}
    assert seen == {topic.full_name("mail") for topic in TOPICS if user in (*topic.writers, *topic.readers)}
    for topic in TOPICS:
        name = topic.full_name("mail")
        assert await refused(write(settings, name)) == (user not in topic.writers), name
        if name in seen:  # what it may not even see no fetch can name
            assert await refused(read(settings, name)) == (user not in topic.readers), name


@pytest.mark.parametrize("user", [user for user in PARTIES if any(user in topic.readers for topic in TOPICS)])
async def test_a_user_cannot_join_the_group_of_another(secure: KafkaCluster, user: str) -> None:
    """It could take its partitions, or commit past its mail. Nor one without the prefix; who needs no group has none of its name."""
    reads = next(topic for topic in TOPICS if user in topic.readers).full_name("mail")
    foreign = {f"mailweir.{other}" for other in PARTIES if other != user} | {user, "mailweir"}
    own = {
        b.resource for b in topics.acl_bindings("mail", "mailweir") if (b.principal, b.resource_type) == (user, "group")
    }
    for group in sorted(foreign | {f"mailweir.{user}"} - own):
        with pytest.raises(GroupAuthorizationFailedError):
            await join(settings_of(secure, user), reads, group)


@pytest.mark.parametrize("user", [*PARTIES, "intruder"])
async def test_a_user_administers_nothing(secure: KafkaCluster, user: str) -> None:
    """Its own topics least of all: it cannot delete them, change their settings, add partitions or topics, or give rights."""
    settings = settings_of(secure, user)
    ours = [topic.full_name("mail") for topic in TOPICS]
    async with admin_client(settings) as admin:
        deleted = await admin.delete_topics(ours)
        altered = await admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, n, {"retention.ms": "1"}) for n in ours]
        )
        with pytest.raises(TopicAuthorizationFailedError):
            await admin.create_partitions({ours[0]: NewPartitions(9)})
        created = await admin.create_topics([NewTopic("mail.forged", 1, 1)])
    codes = [code for _, code in deleted.topic_error_codes]
    codes += [resource[0] for answer in altered for resource in answer.resources]
    codes += [error[1] for error in created.topic_errors]
    assert len(codes) == 2 * len(TOPICS) + 1
    assert set(codes) == {TopicAuthorizationFailedError.errno}
    with pytest.raises(KafkaSetupError, match="Kafka refused"):
        await topics.grant(settings, [AclBinding(user, "topic", "mail.", "prefixed", "all")])


async def test_a_write_that_is_not_allowed_is_no_broker_that_is_away(secure: KafkaCluster) -> None:
    """It ends the worker instead of being tried for ever, and the message says which topic."""
    sink = KafkaBus(settings_of(secure, "ingest")).sink()
    await sink.start()
    try:
        with pytest.raises(AccessRefused, match=r"Kafka refused to .*mail\.raw.*Check the user's ACLs") as caught:
            await sink.send([Outgoing("mail.raw", b"k", b"forged")])
    finally:
        await sink.stop()
    assert (caught.value.code, exit_code(caught.value)) == ("access_refused", 1)


async def test_a_worker_is_told_what_its_user_may_not_see(secure: KafkaCluster) -> None:
    """A topic without permission looks missing, and the message says that it may be the user."""
    with pytest.raises(TopicMissing, match=r"mail\.classified, or user ingest may not see them"):
        await topics.require(settings_of(secure, "ingest"), TOPICS[:3])


async def test_a_check_says_that_a_topic_may_be_there_unseen(secure: KafkaCluster) -> None:
    """Kafka hides what a user may not see: the line names the user beside what looks missing."""
    found = {str(line) for line in await topics.check(settings_of(secure, "retrain"), partitions=1)}
    hidden = {topic.full_name("mail") for topic in TOPICS if "retrain" not in (*topic.writers, *topic.readers)}
    assert found == {f"{name}: topic is missing, or not visible to user retrain, expected present" for name in hidden}


async def test_topics_are_created_by_the_administrator_only(secure: KafkaCluster) -> None:
    """An agent's user is refused with the permission that it lacks; the administrator finds nothing to do."""
    other = settings_of(secure, "ingest").model_copy(update={"topic_prefix": "other"})
    with pytest.raises(BrokerUnreachable, match=r"does not let user ingest create topic other\.raw"):
        await topics.apply(other)
    assert await topics.apply(settings_of(secure, "admin")) == []
    assert await topics.check(settings_of(secure, "admin"), partitions=1) == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kafka_password": SecretStr("wrong")}, "refuses the login of 'ingest'"),
        ({"kafka_username": "nobody"}, "refuses the login of 'nobody'"),
        ({"kafka_security": "PLAINTEXT"}, "gives no usable answer"),
        ({"kafka_ca_file": None}, "does not agree on TLS"),
    ],
    ids=["password", "user", "no-tls", "unknown-authority"],
)
async def test_a_login_that_cannot_work_is_refused_and_never_shown(
    secure: KafkaCluster, change: dict[str, Any], said: str
) -> None:
    """Wrong password, user, protocol or authority end in one message with the address and no secret."""
    right = settings_of(secure, "ingest")
    settings = right.model_copy(update={"request_timeout_ms": 5_000} | change)
    with pytest.raises(BrokerUnreachable, match=f"Kafka at {right.kafka_bootstrap} .*{said}") as caught:
        await topics.require(settings, TOPICS[:1])
    assert right.kafka_password.get_secret_value() not in caught.value.message


async def test_a_certificate_file_that_cannot_be_read_is_a_wrong_setting(secure: KafkaCluster) -> None:
    """The variables are named."""
    settings = settings_of(secure, "ingest").model_copy(update={"kafka_ca_file": Path("nothing.pem")})
    with pytest.raises(SettingsError, match="MAILWEIR_KAFKA_CA_FILE"):
        await topics.require(settings, TOPICS[:1])


def test_permissions_cover_every_party_of_the_table() -> None:
    """Whoever writes or reads has a binding for it; an idempotent producer may be one; groups carry the prefix."""
    bindings = topics.acl_bindings("post", "office")
    assert len(set(bindings)) == len(bindings)
    for topic in TOPICS:
        for operation, users in (("write", topic.writers), ("read", topic.readers)):
            found = {b.principal for b in bindings if (b.resource, b.operation) == (f"post.{topic.name}", operation)}
            assert found == set(users)
    groups = {(b.principal, b.resource) for b in bindings if b.resource_type == "group" and b.pattern == "literal"}
    assert groups == {(user, f"office.{user}") for user in (*STAGES, "client")}
    idempotent = {b.principal for b in bindings if b.operation == "idempotent_write"}
    assert idempotent == {user for topic in TOPICS for user in topic.writers}
    assert {b.operation for b in bindings} == {"read", "write", "describe_configs", "idempotent_write"}
