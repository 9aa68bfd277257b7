"""A real Prometheus over live workers: each alert fires when its situation comes, each query finds what it asks for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from alerting import alerts, rules
from bundles import promote, stocked
from collector import collecting
from factories import memory_bus, settings
from fleet import mail
from grafana.boards import BOARDS
from labels import is_one
from shards import file_shard_of, record
from staged import at_work, contradict, fill, hanging, hold_up, own, rubbish, shipped, slow, small_disk, write
from watched import Prometheus, watching

from mailweir.models.registry import Registry
from mailweir.schemas.events import ModelRef
from mailweir.services.app import Host
from mailweir.services.broker import KafkaCluster
from mailweir.services.classify.agent import register as register_classify
from mailweir.services.feedback.agent import register as register_feedback
from mailweir.services.ingest.agent import register as register_ingest
from mailweir.services.retrain.agent import register as register_retrain
from mailweir.services.review.agent import register as register_review
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus
from mailweir.services.telemetry import Metrics
from mailweir.services.topics import apply
from mailweir.services.trainer.agent import register as register_trainer
from mailweir.services.trainer.progress import Progress, metrics_served, to_metrics

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

MAILS = 96
DECIDED = 'mailweir_mails_total{stage="classify", outcome="published"}'
RULES = '[[rule]]\nname = "sales"\nwhen.mailbox = ["sales0"]\nset.priority = "normal"\n'
FOREIGN = {"__name__", "job", "instance", "environment", "le"}

NOT_STAGED = {
    "model: Labels against a week ago": "a week is not lived through",
    "model: Failures of the shadow": "that one loads and then fails on a mail; the other query, a shadow that does not load, is",
    "stream: Commits refused": "a rebalance in the middle of a batch: tests/kafka/test_stream.py",
}
"""Panels of which a query shows nothing here, and what it would take; tests/flow/test_dashboards.py has made-up series for them."""
CHOSEN = {"environment": "test", "core_hour": "0.04", "__rate_interval": "2m"}
"""Of the dashboards' variables; the others choose all."""


@asynccontextmanager
async def _mill(known: Settings) -> AsyncIterator[Host]:
    """One worker with every agent; a training run of it fails at once."""
    host = Host(known, KafkaBus(known))
    register_trainer(host, ("sh", "-c", "sleep 0.3; exit 1"), look_s=0.1)
    for register in (register_ingest, register_classify, register_review, register_feedback, register_retrain):
        register(host)
    async with at_work(host):
        yield host


def _settings(kafka: KafkaCluster, folder: Path, registry: Registry, collector: str) -> Settings:
    (folder / "rules.toml").write_text(RULES)
    return own(
        kafka.bootstrap,
        registry=registry.root,
        registry_poll_ms=200,
        ledger=str(folder / "ledger"),
        classify_rules=folder / "rules.toml",
        metrics_mailboxes=("sales0", "support1"),
        shard_rows=10,
        feedback_batch_wait_ms=20,
        review_budget=1_000_000,
        review_random_share=1.0,
        review_diverse_share=0.0,
        otlp_endpoint=collector,
        retrain_min_labels=20,
        retrain_look_seconds=0.3,
    )


def _registry(folder: Path, tiny: Path) -> Registry:
    """Three versions: 1.b took the place of 1.a, 1.c scores beside it."""
    registry = stocked(folder, tiny, "1.a", "1.b", "1.c")
    for version in ("1.a", "1.b"):
        promote(registry, version)
    registry.set_shadow(ModelRef(name="email", version="1.c"), share=1.0, by="ann")
    return registry


async def _all_fired(prometheus: Prometheus, *names: str) -> None:
    for name in names:
        await prometheus.until(f'ALERTS{{alertname="{name}", alertstate="firing"}}')


async def _peace(prometheus: Prometheus, known: Settings) -> None:
    """Some mails, and when they are done nobody is being woken."""
    await prometheus.until(f"{DECIDED} == 0")
    for wave in (1, 2):  # a series that is new has no increase before its second value
        await write(known, *(mail(number) for number in range((wave - 1) * MAILS // 2, wave * MAILS // 2)))
        await prometheus.until(f"{DECIDED} == {wave * MAILS // 2}")
    await prometheus.until('sum(mailweir_lag_records) == 0 unless on () count(ALERTS{alertstate="firing"})')


async def _people_disagree(prometheus: Prometheus, known: Settings) -> None:
    """They are asked by lot, and all of them say no; then others say that the version before was right."""
    await prometheus.until(f'mailweir_review_asked_total{{why="random"}} == {MAILS}')
    await contradict(known, 5)
    await prometheus.until(
        'mailweir_verdicts_total{sample="lot"} > 0'
    )  # as above: only what comes after the first is growth
    await contradict(known, MAILS - 15, 5)
    await _all_fired(prometheus, "MailweirDisagreementAfterPromotion")
    await write(known, record(file_shard_of(Path(known.ledger), 1, "1.a", people=100, wrong=5)))
    await _all_fired(prometheus, "MailweirRollbackHappened", "MailweirCalibrationOff")


async def _disk_fills(prometheus: Prometheus, known: Settings) -> None:
    await asyncio.to_thread(fill, Path(known.ledger))
    await contradict(known, 10, MAILS - 10)
    await _all_fired(prometheus, "MailweirLedgerDiskFull", "MailweirFeedbackFails")


async def _pointers_break(prometheus: Prometheus, registry: Registry) -> None:
    for pointer in ("champion.json", "shadow.json"):
        (registry.root / "email" / pointer).write_text("{}", encoding="utf-8")
    await _all_fired(prometheus, "MailweirSwapFailed", "MailweirShadowLoadFailed")


async def _broker_falls_silent(prometheus: Prometheus, broker: KafkaCluster) -> None:
    """While a stage hangs in the middle of its work."""
    await _all_fired(prometheus, "MailweirNoProgress")
    await asyncio.to_thread(broker.kill, 1)
    await _all_fired(prometheus, "MailweirBrokerSilent")


async def _worker_dies(prometheus: Prometheus) -> None:
    host = Host(settings(), memory_bus())
    async with at_work(host):
        prometheus.watch("lone", host)
        await prometheus.until(f'up{{instance="127.0.0.1:{host.health.port}"}} == 1')
    await _all_fired(prometheus, "MailweirWorkerDown")


async def _loop_is_held_up(prometheus: Prometheus) -> None:
    waiting = asyncio.create_task(_all_fired(prometheus, "MailweirEventLoopBlocked"))
    while not waiting.done():
        await hold_up(2)
    await waiting


async def _ask_all(prometheus: Prometheus, missing: set[tuple[str, str]]) -> None:
    """Every query of every panel, again and again, until it has returned something."""
    while True:
        for panel, query in sorted(missing):
            if await asyncio.to_thread(prometheus.ask, query):
                missing.discard((panel, query))
        await asyncio.sleep(1)


def _queries() -> set[tuple[str, str]]:
    return {
        (f"{board.name}: {panel.title}", _filled(query.expression))
        for board in BOARDS
        for panel in board.panels
        for query in panel.queries
    }


def _filled(query: str) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda found: CHOSEN.get(found[1], ".*"), query)


async def test_every_alert_fires_in_its_situation_and_every_query_finds_it(
    tmp_path: Path, kafka: KafkaCluster, broker: KafkaCluster, tiny: Path
) -> None:
    """Peace first, in which none fires; then all of it at once: each alert, each recorded series, each panel."""
    registry = _registry(tmp_path, tiny)
    async with AsyncExitStack() as stack:
        mounted = stack.enter_context(small_disk(tmp_path / "ledger"))
        known = _settings(kafka, tmp_path, registry, stack.enter_context(collecting()).url)
        await apply(known, partitions=1)
        prometheus = stack.enter_context(watching(tmp_path / "prometheus"))
        prometheus.watch("mill", await stack.enter_async_context(_mill(known)))
        await _peace(prometheus, known)
        asking = asyncio.create_task(_ask_all(prometheus, missing := _queries()))
        stack.callback(asking.cancel)

        metrics = Metrics()
        address = stack.enter_context(metrics_served(settings(), metrics))
        to_metrics(metrics)(Progress("training", "fine-tuning", 4, 10, loss=0.7))  # and no more: it hangs
        prometheus.watch_run(address.split("/")[2])
        prometheus.watch("slow", await stack.enter_async_context(slow(kafka.bootstrap)))
        prometheus.watch("hanging", await stack.enter_async_context(hanging(broker.bootstrap)))
        prometheus.watch("shipped", await stack.enter_async_context(shipped(tmp_path)))
        await write(known, *rubbish(15))
        async with asyncio.TaskGroup() as group:
            group.create_task(_people_disagree(prometheus, known))
            group.create_task(_broker_falls_silent(prometheus, broker))
            group.create_task(_worker_dies(prometheus))
            group.create_task(_all_fired(prometheus, "MailweirCertificateExpires", "MailweirTrainerStuck"))
        if mounted:
            await _disk_fills(prometheus, known)
        await _pointers_break(prometheus, registry)
        await _loop_is_held_up(prometheus)

        unmounted = set() if mounted else {"MailweirLedgerDiskFull", "MailweirFeedbackFails"}
        assert await asyncio.to_thread(prometheus.fired) == alerts().keys() - unmounted
        assert {panel for panel, _ in missing} == NOT_STAGED.keys()
        _judge(await asyncio.to_thread(prometheus.rules), await asyncio.to_thread(prometheus.series))
        for name in {rule["record"] for rule in rules() if "record" in rule}:
            assert await asyncio.to_thread(prometheus.ask, f"count_over_time({name}[10m])"), name


def _judge(known: list[dict[str, Any]], series: list[dict[str, str]]) -> None:
    """No rule is in error; and no label has a value beyond its closed set."""
    assert {rule["name"]: rule["health"] for rule in known} == {
        rule.get("record") or rule["alert"]: "ok" for rule in rules()
    }
    pairs = {(name, value) for labels in series for name, value in labels.items() if name not in FOREIGN}
    assert len(pairs) > 60
    assert sorted(pair for pair in pairs if not is_one(*pair)) == []
