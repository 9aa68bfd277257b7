"""Quotas of users, set by Kafka's own tool from the lines that `mailweir topics quotas` prints: they bind who floods, and nobody else."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shlex
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.producer.sender import SendProduceReqHandler
from fleet import Fleet
from secured import environment_of, settings_of
from typer.testing import CliRunner

from mailweir.schemas.topics import CLASSIFIED, TOPICS
from mailweir.services import topics
from mailweir.services.broker import KafkaCluster
from mailweir.services.broker.java import Java
from mailweir.services.cli.app import app
from mailweir.services.cli.sizing import Load, quotas
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus, Outgoing
from mailweir.services.stream.connection import client_options
from mailweir.services.stream.tail import Tail

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

SMALL = 100_000  # bytes a second: a flood of some megabytes is far above it
RECORD = 200_000
MAIL = b"From: ann@customer.example\r\nSubject: Order 4500123456\r\n\r\nWhere is it?\r\n"


@pytest.fixture(scope="module")
def secure() -> Iterator[KafkaCluster]:
    """A secure cluster with the permissions and topics of the table."""
    with KafkaCluster(secure=True, acls=topics.acl_bindings("mail", "mailweir")) as cluster:
        asyncio.run(topics.apply(settings_of(cluster, "admin"), partitions=1))
        yield cluster


@pytest.fixture
def throttled(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Milliseconds that the broker told each producer to wait, by client id; aiokafka keeps it to itself."""
    told: dict[str, int] = defaultdict(int)
    handle = SendProduceReqHandler.handle_response

    def note(self: Any, response: Any) -> Any:
        told[self._sender.client._client_id] += response.throttle_time_ms
        return handle(self, response)

    monkeypatch.setattr(SendProduceReqHandler, "handle_response", note)
    return told


def configs(cluster: KafkaCluster, folder: Path, *words: str) -> str:
    """What kafka-configs.sh runs, as the administrator."""
    java, admin = Java.find(None), cluster.access("admin")
    login = f'ScramLoginModule required username="{admin.username}" password="{admin.password}";'
    file = folder / "admin.properties"
    file.touch(mode=0o600)
    file.write_text(
        f"security.protocol=SASL_SSL\nsasl.mechanism={admin.mechanism}\nssl.truststore.type=PEM\n"
        f"ssl.truststore.location={admin.cafile}\nsasl.jaas.config=org.apache.kafka.common.security.scram.{login}\n"
    )
    where = ["--bootstrap-server", admin.bootstrap, "--command-config", str(file)]
    command = [java.executable, "-cp", java.jars.class_path, "kafka.admin.ConfigCommand", *where, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


async def flood(settings: Settings, records: int) -> None:
    """As much as it can, of what does not compress."""
    options = client_options(settings, "flood")
    producer = AIOKafkaProducer(**options, acks="all", max_request_size=1_000_000, linger_ms=0)
    await producer.start()
    try:
        for _ in range(records):
            await producer.send_and_wait("mail.raw", os.urandom(RECORD), key=b"flood")
    finally:
        await producer.stop()


async def test_a_flood_is_slowed_down_and_the_mail_of_others_goes_on(
    secure: KafkaCluster, tmp_path: Path, throttled: dict[str, int]
) -> None:
    """The broker holds the sender back; the client, ingest and classify are told to wait for nothing, and decide meanwhile."""
    [line] = [dataclasses.replace(one, producer_byte_rate=SMALL) for one in quotas(Load(1)) if one.user == "sender"]
    set_to = ["--alter", "--entity-type", "users", "--entity-name", "sender", "--add-config", line.config()]
    await asyncio.to_thread(configs, secure, tmp_path, *set_to)
    with Fleet(tmp_path, {"MAILWEIR_METRICS_PORT": "0", "MAILWEIR_REJECT_RATIO_MAX": "1"}) as fleet:
        for stage in ("ingest", "classify"):
            fleet.add(stage, **environment_of(secure, stage)).start()
        for worker in fleet.workers:
            await asyncio.to_thread(worker.wait_ready)
        flooding = asyncio.create_task(flood(settings_of(secure, "sender"), 100))
        client = settings_of(secure, "client")
        sink = KafkaBus(client).sink()
        await sink.start()
        while not any(throttled.values()):  # noqa: ASYNC110 - only responses tell
            await asyncio.sleep(0.05)
        await sink.send([Outgoing("mail.raw", b"sales", MAIL, [("content-type", b"message/rfc822")])])
        await sink.stop()
        while not await decided(client):  # noqa: ASYNC110 - only the topic tells
            await asyncio.sleep(0.1)
        assert not flooding.done(), "the flood was over before the mail was decided: it was not slowed down"
        flooding.cancel()
        await asyncio.wait([flooding])
    slowed = {client_id for client_id, waited in throttled.items() if waited}
    assert slowed == {client_id for client_id in throttled if "flood" in client_id}
    assert len(throttled) == 2


async def decided(settings: Settings) -> bool:
    """Whether a decision is there."""
    async with Tail(settings, CLASSIFIED) as tail:
        return any([True async for _ in tail.present(1)])


def test_kafkas_own_tool_takes_every_line(secure: KafkaCluster, tmp_path: Path) -> None:
    """A line of the command is taken as it is printed, and the cluster has the figures; every party has one of the same form."""
    done = CliRunner().invoke(app, ["topics", "quotas", "--mails-per-day", "100000000"])
    lines = {shlex.split(line)[5]: shlex.split(line) for line in done.output.splitlines()}
    parties = {party for topic in TOPICS for party in (*topic.writers, *topic.readers)}
    assert lines.keys() == parties
    tool, *words = lines["ingest"]
    assert tool == "kafka-configs.sh"
    configs(secure, tmp_path, *words)
    told = configs(secure, tmp_path, "--describe", "--entity-type", "users", "--entity-name", "ingest")
    for setting in words[-1].split(","):
        name, _, value = setting.partition("=")
        assert f"{name}={float(value)}" in told or f"{name}={float(value):.7E}".replace("E+0", "E") in told, told
