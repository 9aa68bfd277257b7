"""What the source and the sink owe to Kafka itself: confirmations, generations, names, limits. The twin has none of these."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from factories import add_stage, hosted, parse_all, raw, settings, until
from fleet import read_all

from mailweir.schemas.errors import WriteRefused
from mailweir.schemas.events import Email
from mailweir.schemas.topics import TOPICS
from mailweir.services.app import Host
from mailweir.services.broker import KafkaCluster
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus, Outgoing
from mailweir.services.stream.producer import KafkaSink
from mailweir.services.stream.record import Partition

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


@dataclass
class Cluster:
    """The shared broker, with topics under a prefix of this test's own."""

    known: Settings
    admin: AIOKafkaAdminClient

    def name(self, topic: str) -> str:
        return f"{self.known.topic_prefix}.{topic}"

    async def create(self, *topics: str, partitions: int = 2, **configs: str) -> None:
        made = [NewTopic(self.name(topic), partitions, 1, topic_configs=configs) for topic in topics]
        await self.admin.create_topics(made)

    async def write(self, count: int) -> None:
        records = [raw(number) for number in range(count)]
        sink = KafkaSink(self.known)
        await sink.start()
        await sink.send([Outgoing(self.name("raw"), record.key, record.value, record.headers) for record in records])
        await sink.stop()

    async def ids(self) -> list[str]:
        found = await read_all(self.known, self.name("parsed"))
        return [Email.decode(value).email_id for _, value, _ in found]

    async def committed(self) -> int:
        """How many records the group of ingest has committed."""
        offsets = await self.admin.list_consumer_group_offsets(self.name("ingest"))
        return sum(found.offset for found in offsets.values())


@pytest.fixture
async def cluster(kafka: KafkaCluster) -> AsyncIterator[Cluster]:
    prefix = f"t{uuid4().hex[:8]}"
    known = settings(
        kafka_bootstrap=kafka.bootstrap, topic_prefix=prefix, group_prefix=prefix, session_timeout_ms=6_000
    )
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    yield Cluster(known, admin)
    there = set(await admin.list_topics())
    await admin.delete_topics([name for topic in TOPICS if (name := topic.full_name(prefix)) in there])
    await admin.close()


@asynccontextmanager
async def _sink(known: Settings) -> AsyncIterator[KafkaSink]:
    sink = KafkaSink(known)
    await sink.start()
    try:
        yield sink
    finally:
        await sink.stop()


async def _told(_: frozenset[Partition]) -> None:
    """A listener that does nothing."""


@pytest.mark.parametrize(
    ("configs", "key", "value"),
    [
        ({"max.message.bytes": "1000"}, b"k", random.Random(1).randbytes(2_000)),
        ({"cleanup.policy": "compact"}, None, b"x"),
    ],
    ids=["too large", "no key on a compacted topic"],
)
async def test_what_the_broker_never_takes_is_an_error_and_not_a_wait(
    cluster: Cluster, configs: dict[str, str], key: bytes | None, value: bytes
) -> None:
    """The refusal in the confirmation reaches the sender, with the topic's name; the sink works on afterwards."""
    await cluster.create("parsed", **configs)
    name = cluster.name("parsed")
    async with _sink(cluster.known) as sink:
        with pytest.raises(WriteRefused, match=name):
            await asyncio.wait_for(sink.send([Outgoing(name, key, value)]), 60)
        await sink.send([Outgoing(name, b"k", b"fits")])
    assert [value for _, value, _ in await read_all(cluster.known, name)] == [b"fits"]


async def test_a_stage_whose_results_are_refused_commits_nothing(cluster: Cluster) -> None:
    """The worker ends with the refusal, and the mail is still to be read."""
    await cluster.create("raw", "dead")
    await cluster.create("parsed", **{"max.message.bytes": "100"})
    await cluster.write(20)
    host = Host(cluster.known, KafkaBus(cluster.known))
    add_stage(host, parse_all)
    with pytest.raises(WriteRefused, match="topics check"):
        await asyncio.wait_for(host.serve(lambda _: None), 60)
    assert await cluster.committed() == 0


async def test_a_publish_is_retried_until_it_can_be_done(cluster: Cluster) -> None:
    """The topic of the results is not there for a while: the stage holds its mail, and each comes out once."""
    await cluster.create("raw", "dead")
    await cluster.write(20)
    impatient = cluster.known.model_copy(update={"request_timeout_ms": 2_000})
    labels = {"stage": "ingest", "step": "publish"}
    name = "mailweir_dependency_retries_total"
    async with running_with(impatient) as host:
        await until(lambda: bool(host.metrics.registry.get_sample_value(name, labels)), 30)
        assert await cluster.committed() == 0
        await cluster.create("parsed")
        await until(lambda: host.stream.readers[0].progress.behind == 0, 30)
    ids = await cluster.ids()
    assert len(ids) == len(set(ids)) == 20


@asynccontextmanager
async def running_with(known: Settings) -> AsyncIterator[Host]:
    """A worker of one stage under these settings."""
    host = Host(known, KafkaBus(known))
    add_stage(host, parse_all)
    async with hosted(host):
        yield host


async def test_a_commit_from_a_generation_that_is_over_is_refused(cluster: Cluster) -> None:
    """The broker knows better whose the partitions are: the commit answers False and changes nothing."""
    await cluster.create("raw")
    await cluster.write(5)
    source = KafkaBus(cluster.known).source(cluster.name("raw"), cluster.name("ingest"))
    await source.start(_told, _told)
    try:
        async with asyncio.timeout(60):
            while not (found := await source.pull(5, 200)):
                pass
        source._consumer._coordinator.generation -= 1
        assert not await source.commit({found[0].place: 1})
        assert await cluster.committed() == 0
    finally:
        await source.stop()


async def test_a_worker_with_a_name_comes_back_without_a_rebalance(cluster: Cluster) -> None:
    """Its restart is no news to the others: they keep their partitions and do not stop for it."""
    await cluster.create("raw", "parsed", "dead")
    one, two = (cluster.known.model_copy(update={"instance": f"w-{number}"}) for number in range(2))

    def rebalances(host: Host) -> float:
        return host.metrics.registry.get_sample_value("mailweir_rebalances_total", {"stage": "ingest"}) or 0

    async with running_with(one) as stays:
        async with running_with(two) as goes:
            [stayed, went] = stays.stream.readers[0], goes.stream.readers[0]
            await until(lambda: stayed.progress.partitions == went.progress.partitions == 1, 30)
            before = rebalances(stays)
        async with running_with(two) as back:
            await cluster.write(20)
            await until(lambda: back.stream.readers[0].progress.partitions == 1, 30)
            await asyncio.sleep(2.5)  # a heartbeat of the other, which would tell it to join again
        assert rebalances(stays) == before
