"""A worker that names its rack reads from the copy there, not from the leader in another (KIP-392)."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import TopicPartition
from broker_clients import create, leader, send
from factories import settings

from mailweir.services.broker import KafkaCluster
from mailweir.services.stream.kafka import KafkaSource

pytestmark = pytest.mark.kafka


class _Member:
    """What a group member was told."""

    def __init__(self) -> None:
        self.given = asyncio.Event()

    async def assigned(self, _: frozenset[tuple[str, int]]) -> None:
        self.given.set()

    async def revoked(self, _: frozenset[tuple[str, int]]) -> None:
        """Nothing to finish."""


async def _read_by(bootstrap: str, rack: str, count: int) -> tuple[list[bytes], int | None]:
    """The values read in a group of that rack, and the node they came from if that is not the leader."""
    source, member = (
        KafkaSource("racks", f"racks.{rack}", settings(kafka_bootstrap=bootstrap, kafka_rack=rack)),
        _Member(),
    )
    await source.start(member.revoked, member.assigned)
    try:
        found: list[bytes] = []
        async with asyncio.timeout(60):
            await member.given.wait()
            while len(found) < count:
                found += [record.value for record in await source.pull(10, 1_000)]
        preferred = source._consumer._fetcher._preferred_read_replica.get(TopicPartition("racks", 0))
        return found, preferred[0] if preferred else None
    finally:
        await source.stop()


async def test_mail_is_read_from_the_copy_in_the_workers_own_rack() -> None:
    """All of it, in order; a worker in the leader's rack, and one without, read from the leader."""
    with KafkaCluster(nodes=2) as cluster:
        await create(cluster.access(), "racks", copies=2, **{"min.insync.replicas": "2"})
        sent = [b"%d" % number for number in range(20)]
        for value in sent:
            await send(cluster.access(), "racks", value)
        leads = await leader(cluster.access(), "racks")
        follows = 3 - leads
        assert await _read_by(cluster.bootstrap, f"rack-{follows}", len(sent)) == (sent, follows)
        assert await _read_by(cluster.bootstrap, f"rack-{leads}", len(sent)) == (sent, None)
        assert await _read_by(cluster.bootstrap, "", len(sent)) == (sent, None)
