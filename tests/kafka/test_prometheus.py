"""A real Prometheus scrapes a live worker, and every expression of every rule says what it should."""

from __future__ import annotations

import asyncio
import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from typing import Any

import pytest
import yaml
from alerting import PLACE, rules
from bundles import promote, stocked
from factories import settings, until
from fleet import mail

from mailweir.services.app import Host
from mailweir.services.broker import KafkaCluster
from mailweir.services.classify.agent import register as register_classify
from mailweir.services.ingest.agent import register as register_ingest
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus, Outgoing
from mailweir.services.topics import apply

pytestmark = pytest.mark.kafka

MAILS, RUBBISH = 20, 5
DECIDED = 'mailweir_mails_total{stage="classify", outcome="published"}'
STAGED = {
    "stage:mailweir_mails:rate5m",
    "stage:mailweir_rejects:ratio_rate5m",
    "stage:mailweir_lag_records:sum",
    "stage:mailweir_lag_seconds:max",
    "stage:mailweir_broker_contact_seconds:max",
    *(
        f"stage:mailweir_{what}_mails:ratio_rate{w}"
        for what in ("late", "lost")
        for w in ["5m", "30m", "1h", "2h", "6h", "1d", "3d"]
    ),
    "head_version:mailweir_expected_right:ratio_increase7d",
    "MailweirDeadLetterRatio",
    "MailweirSwapFailed",
    "MailweirShadowLoadFailed",
}
"""What mail on its way, some of it rubbish, and a registry whose pointers cannot be read make visible."""


class Prometheus:
    """A process of its own on a port of its own, all its data below one folder."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """Evaluate now; an expression that cannot be raises."""
        return list(self._get(f"query?{urllib.parse.urlencode({'query': expression})}")["result"])

    def rules(self) -> list[dict[str, Any]]:
        """Every rule with how its evaluation went."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self._url}/api/v1/{path}", timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        assert found["status"] == "success"
        return dict(found["data"])


@contextmanager
def _prometheus(folder: Path, worker: str) -> Iterator[Prometheus]:
    """As `deploy/prometheus` configures it, but twice a second; it is gone at the end."""
    config = yaml.safe_load((PLACE / "prometheus.yaml").read_bytes())
    config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    (folder / "workers").mkdir()
    (folder / "workers" / "one.yaml").write_text(yaml.safe_dump([{"targets": [worker]}]), encoding="utf-8")
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (folder / "rules.yaml").write_bytes((PLACE / "rules.yaml").read_bytes())
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options = [f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"]
    bounds = [f"--web.listen-address={address}", "--storage.tsdb.retention.size=64MB", "--log.level=warn"]
    with (folder / "log").open("wb") as log, subprocess.Popen(["prometheus", *options, *bounds], stderr=log) as process:
        try:
            yield Prometheus(f"http://{address}")
        finally:
            process.kill()


async def _worker(known: Settings) -> Host:
    host = Host(known, KafkaBus(known))
    register_ingest(host)
    register_classify(host)
    await host.start()
    await until(host.health.ready, 60)
    return host


async def _seen(prometheus: Prometheus, expression: str) -> None:
    """Until it returns something; Prometheus may still be starting."""
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(_returns, prometheus, expression):  # noqa: ASYNC110 - the other process has no event
            await asyncio.sleep(0.1)


def _returns(prometheus: Prometheus, expression: str) -> bool:
    try:
        return bool(prometheus.ask(expression))
    except urllib.error.URLError:
        return False


async def _send(known: Settings) -> None:
    sink = KafkaBus(known).sink()
    await sink.start()
    name = known.topic_name("raw")
    mails = [mail(number) for number in range(MAILS)]
    bad = [Outgoing(name, b"box", b"\x00 rubbish %d" % number) for number in range(RUBBISH)]
    await sink.send([Outgoing(name, one.key, one.value, one.headers) for one in mails] + bad)
    await sink.stop()


async def test_every_rule_evaluates_and_what_is_staged_returns_data(
    tmp_path: Path, kafka: KafkaCluster, tiny: Path
) -> None:
    """Under some mails and with a registry that cannot be read: no rule is in error, and those about it are not empty."""
    registry = stocked(tmp_path, tiny, "1.a")
    promote(registry, "1.a")
    prefix = f"t{uuid.uuid4().hex[:8]}"
    known = settings(
        kafka_bootstrap=kafka.bootstrap,
        registry_poll_ms=200,
        topic_prefix=prefix,
        group_prefix=prefix,
        registry=registry.root,
    )
    await apply(known, partitions=1)
    host = await _worker(known)
    try:
        with _prometheus(tmp_path, f"127.0.0.1:{host.health.port}") as prometheus:
            await _seen(prometheus, f"{DECIDED} == 0")
            for wave in (1, 2):  # a series that is new has no increase before its second value
                await _send(known)
                await _seen(prometheus, f"{DECIDED} == {wave * MAILS}")
            for pointer in ("champion.json", "shadow.json"):
                (registry.root / "email" / pointer).write_text("{}", encoding="utf-8")
            for rule in rules():
                await _judge(prometheus, rule)
            await _seen(prometheus, "stage:mailweir_mails:rate5m > 0")
            states = {rule["name"]: rule["health"] for rule in await asyncio.to_thread(prometheus.rules)}
            assert set(states.values()) <= {"ok", "unknown"}
            assert states.keys() == {rule.get("record") or rule["alert"] for rule in rules()}
    finally:
        await host.stop()


async def _judge(prometheus: Prometheus, rule: dict[str, Any]) -> None:
    """It evaluates; and if its situation is staged it returns something, in a while: records of records come one after another."""
    await asyncio.to_thread(prometheus.ask, rule["expr"])
    if (rule.get("record") or rule["alert"]) in STAGED:
        await _seen(prometheus, rule["expr"])
