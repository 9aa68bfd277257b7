"""The topics table on a real cluster: created once, compared, listed and required."""

import asyncio
import dataclasses
import socket
import uuid
from collections.abc import Iterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from mailweir.schemas.errors import BrokerUnreachable, SettingsError, TopicMissing
from mailweir.schemas.topics import DEAD, MODELS, PARSED, RAW, TOPICS
from mailweir.services import topics
from mailweir.services.broker import KafkaCluster
from mailweir.services.settings import Settings

pytestmark = pytest.mark.kafka

NAMES = [
    "raw",
    "parsed",
    "classified",
    "classified.shadow",
    "review",
    "feedback",
    "shards",
    "retrain",
    "models",
    "dead",
]


@pytest.fixture
def settings(kafka: KafkaCluster) -> Settings:
    """Settings with a prefix of their own, on which nothing exists yet."""
    return Settings(kafka_bootstrap=kafka.bootstrap, topic_prefix=f"t{uuid.uuid4().hex[:8]}", request_timeout_ms=20_000)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


async def create(settings: Settings, name: str, partitions: int, **config: str) -> None:
    """Create a topic as somebody else would, and wait until the brokers know it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    try:
        answer = await admin.create_topics([NewTopic(settings.topic_name(name), partitions, 1, topic_configs=config)])
        assert [code for _, code, _ in answer.topic_errors] == [0], answer
        async with asyncio.timeout(60):
            while settings.topic_name(name) not in await admin.list_topics():  # noqa: ASYNC110 - only the broker knows
                await asyncio.sleep(0.02)
    finally:
        await admin.close()


async def alter(settings: Settings, name: str, config: dict[str, str]) -> None:
    """Change settings of a topic and wait until the brokers say so."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    try:
        change = [ConfigResource(ConfigResourceType.TOPIC, settings.topic_name(name), config)]
        for answer in await admin.alter_configs(change):
            assert [resource[0] for resource in answer.resources] == [0], answer
        async with asyncio.timeout(60):
            while await values(admin, change) != config:  # noqa: ASYNC110 - only the broker knows
                await asyncio.sleep(0.02)
    finally:
        await admin.close()


async def values(admin: AIOKafkaAdminClient, wanted: list[ConfigResource]) -> dict[str, str]:
    answers = await admin.describe_configs(wanted)
    return {entry[0]: entry[1] for answer in answers for resource in answer.resources for entry in resource[4]}


async def test_apply_creates_the_table_once(settings: Settings) -> None:
    """An empty cluster gets every topic of the table; a second apply creates nothing; a check finds no difference."""
    before = await topics.check(settings)
    assert [(d.topic, d.what, d.found) for d in before] == [
        (settings.topic_name(name), "topic", "missing") for name in NAMES
    ]
    assert await topics.apply(settings) == [settings.topic_name(name) for name in NAMES]
    assert await topics.apply(settings) == []
    assert await topics.check(settings) == ()


async def test_apply_adds_only_what_is_missing(settings: Settings) -> None:
    """A topic that exists is left as it is, also when it differs from the table."""
    await create(settings, "raw", 1)
    assert await topics.apply(settings) == [settings.topic_name(name) for name in NAMES if name != "raw"]
    assert {d.topic for d in await topics.check(settings)} == {settings.topic_name("raw")}


async def test_check_names_every_setting_that_was_changed(settings: Settings) -> None:
    """A changed retention, policy or size limit is found, with what is expected and what is there."""
    await topics.apply(settings)
    await alter(settings, "parsed", PARSED.config() | {"retention.ms": "1000"})
    await alter(settings, "models", MODELS.config() | {"cleanup.policy": "delete", "max.message.bytes": "2000000"})
    found = await topics.check(settings)
    assert found == (
        topics.Difference(settings.topic_name("parsed"), "retention.ms", "2592000000", "1000"),
        topics.Difference(settings.topic_name("models"), "cleanup.policy", "compact", "delete"),
        topics.Difference(settings.topic_name("models"), "max.message.bytes", "1048576", "2000000"),
    )
    assert str(found[0]) == f"{settings.topic_name('parsed')}: retention.ms is 1000, expected 2592000000"


async def test_partitions_of_the_table_are_the_least(settings: Settings) -> None:
    """Fewer partitions than the table's are a difference, more are none, and both ways take an override, but for topics of one."""
    await create(settings, "parsed", 13, **topics_config("parsed"))
    await create(settings, "shards", 3, **topics_config("shards"))
    await create(settings, "feedback", 2, **topics_config("feedback"))
    await topics.apply(settings, partitions=2)
    found = {(d.topic, d.what, d.expected, d.found) for d in await topics.check(settings)}
    few = {
        (settings.topic_name(t.name), "partitions", f"at least {t.partitions}", "2")
        for t in TOPICS
        if t.partitions > 2 and t.name != "parsed"
    }
    many = topics.Difference(settings.topic_name("shards"), "partitions", "exactly 1", "3")  # it is read in one order
    assert found == few | {(many.topic, many.what, many.expected, many.found)}
    assert await topics.check(settings, partitions=2) == (many,)


def topics_config(name: str) -> dict[str, str]:
    return next(topic for topic in TOPICS if topic.name == name).config()


async def test_list_shows_the_table_and_what_exists(settings: Settings) -> None:
    """Every topic is a row for people; those on the cluster say so and show the cluster's partitions."""
    await create(settings, "raw", 2)
    rows = {row.name: row for row in await topics.list_topics(settings)}
    assert list(rows) == [settings.topic_name(name) for name in NAMES]
    raw, models = rows[settings.topic_name("raw")], rows[settings.topic_name("models")]
    assert (raw.exists, raw.partitions, raw.retention, raw.size_limit) == (True, 2, "7 days", "26 MiB")
    assert (raw.key, raw.events, raw.writers, raw.readers) == (
        "mailbox",
        ("RawEmail",),
        ("client", "sender"),
        ("ingest",),
    )
    assert (models.exists, models.partitions, models.retention) == (False, 1, "last per key")


async def test_require_names_what_is_missing_and_the_remedy(settings: Settings) -> None:
    """A worker without its topics is told which ones and the command that creates them."""
    await create(settings, "raw", 1, **RAW.config())
    await topics.require(settings, [RAW])
    with pytest.raises(TopicMissing) as caught:
        await topics.require(settings, [RAW, PARSED, DEAD])
    named = f"{settings.topic_name('parsed')}, {settings.topic_name('dead')}"
    assert named in caught.value.message
    assert settings.topic_name("raw") not in caught.value.message
    assert "mailweir topics apply" in caught.value.message
    assert await topics.check(settings)  # asking created nothing


async def test_require_refuses_a_topic_that_takes_less_than_the_table(settings: Settings) -> None:
    """A size limit below the table's stops a worker at its start; a larger one does not."""
    await create(settings, "raw", 1, **RAW.config() | {"max.message.bytes": "1000000"})
    await create(settings, "dead", 1, **DEAD.config() | {"max.message.bytes": "28400000"})
    await topics.require(settings, [DEAD])
    with pytest.raises(TopicMissing, match=r"max\.message\.bytes is 1000000, expected at least 27262976"):
        await topics.require(settings, [RAW, DEAD])


async def test_more_copies_than_brokers_is_a_wrong_setting(settings: Settings) -> None:
    """The refusal quotes the cluster and says what to ask for; numbers below one do not get that far."""
    with pytest.raises(SettingsError, match="at most as many copies as there are brokers"):
        await topics.apply(settings, replication=2)
    with pytest.raises(SettingsError, match="partitions is 0"):
        await topics.apply(settings, partitions=0)


async def test_a_cluster_that_does_not_answer_is_an_error_not_a_wait(settings: Settings, silent_port: int) -> None:
    """A port where nobody listens and one that never answers both end with the address and what to do."""
    for port in (1, silent_port):
        away = settings.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{port}", "request_timeout_ms": 1_000})
        with pytest.raises(BrokerUnreachable, match=f"127.0.0.1:{port}.*mailweir kafka up"):
            await topics.require(away, [RAW])


def test_without_a_user_what_is_missing_is_missing() -> None:
    """Only where Kafka knows who asks can a topic be there and not be shown."""
    assert {found.found for found in topics.differences("mail", {})} == {"missing"}
    assert {found.found for found in topics.differences("mail", {}, user="ann")} == {
        "missing, or not visible to user ann"
    }


@pytest.mark.parametrize(("nodes", "copies", "config"), [(1, 1, None), (2, 2, None), (3, 3, "2"), (5, 3, "2")])
def test_copies_follow_the_brokers(nodes: int, copies: int, config: str | None) -> None:
    """As many copies as brokers, at most three; from three on a write waits for two of them."""
    planned = topics.plan("mail", {}, nodes)
    assert {new.replication for new in planned} == {copies}
    assert {new.config.get("min.insync.replicas") for new in planned} == {config}
    assert {new.config["unclean.leader.election.enable"] for new in planned} == {"false"}
    assert dataclasses.asdict(planned[0])["name"] == "mail.raw"
