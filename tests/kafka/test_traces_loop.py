"""The trace of a training run: the worker that asks, the one that starts it, and the process that carries it out."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from collector import collecting
from factories import settings
from fleet import Fleet, read_all
from lessons import category_only, said, serving, shard_of, small_corpus

from mailweir.schemas.events import RetrainFinished
from mailweir.schemas.headers import traceparent_of
from mailweir.services.broker import KafkaCluster
from mailweir.services.feedback.shards import record_of
from mailweir.services.stream import KafkaBus
from mailweir.services.topics import apply

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


async def _until(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        await asyncio.sleep(0.1)


def _contradicted(folder: Path) -> list:
    """Two people say the opposite of each other about a mail: admission refuses both words."""
    one, two = category_only(said(0)), category_only(said(0, person="q", offset=9, feedback_id="a" * 64))
    label = two.corrected.heads["category"].model_copy(update={"label": "spam"})
    corrected = two.corrected.model_copy(update={"heads": {"category": label}})
    return [one, two.model_copy(update={"corrected": corrected})]


async def test_a_run_is_one_trace_from_the_request_to_its_end(kafka: KafkaCluster, tiny: Path, tmp_path: Path) -> None:
    """The request links its shards; the run, in a process of its own, follows the request, and its end carries the run's span."""
    prefix = f"t{uuid.uuid4().hex[:8]}"
    known = settings(kafka_bootstrap=kafka.bootstrap, topic_prefix=prefix)
    await apply(known, partitions=1)
    serving(tmp_path, tiny)
    corpus = small_corpus(tmp_path / "corpus")
    closed = shard_of(tmp_path, _contradicted(tmp_path))
    announced = record_of(closed, "feedback", prefix, sampled=True)
    shard = traceparent_of(announced.headers)
    assert shard
    with collecting() as got:
        environment = {
            "KAFKA_BOOTSTRAP": kafka.bootstrap,
            "TOPIC_PREFIX": prefix,
            "GROUP_PREFIX": prefix,
            "METRICS_PORT": "0",
            "LEDGER": str(tmp_path),
            "REGISTRY": str(tmp_path / "registry"),
            "TRAINER_DIR": str(tmp_path / "runs"),
            "TRAINER_CORPUS": str(corpus),
            "TRAINER_HOLDOUT": str(corpus / "iris.jsonl"),
            "RETRAIN_MIN_LABELS": "1",
            "RETRAIN_LOOK_SECONDS": "0.5",
            "OTLP_ENDPOINT": got.url,
            "LOG_LEVEL": "info",
        }
        with Fleet(tmp_path, {f"MAILWEIR_{name}": value for name, value in environment.items()}) as fleet:
            fleet.start(["retrain", "trainer"], 1)
            sink = KafkaBus(known).sink()
            await sink.start()
            await sink.send([announced])
            await sink.stop()
            await _until(lambda: any(span.name == "run_process" for span in got.spans))
            assert [worker.end(signal.SIGTERM) for worker in fleet.workers] == [0, 0]
            told = fleet.workers[1].log.read_bytes()
    by_name = {span.name: span for span in got.spans}
    ends = [
        (RetrainFinished.decode(v), h)
        for _, v, h in await read_all(known, f"{prefix}.retrain")
        if b"finished" in h["ce_type"]
    ]
    [(end, headers)] = ends
    request, run, process = by_name[f"send {prefix}.retrain"], by_name["run"], by_name["run_process"]
    assert (request.kind, request.links) == ("producer", ((shard.trace, shard.span),))
    assert {run.trace, process.trace, by_name["admission"].trace} == {request.trace} == {end.run_id[:32]}
    assert (run.parent, process.parent, by_name["admission"].parent) == (request.span, request.span, run.span)
    assert (run.links, process.links) == (request.links, request.links)
    assert (run.attributes["mailweir.outcome"], process.attributes["process.exit.code"]) == (end.outcome, 1)
    carried = traceparent_of(headers.items())
    assert carried
    assert (carried.trace, carried.span, carried.sampled) == (*run.ids, True)
    judged = by_name[f"process {prefix}.shards"]
    assert (judged.trace, judged.parent) == (shard.trace, shard.span)
    lines = [orjson.loads(line) for line in told.splitlines() if line.startswith(b"{")]
    about = [line for line in lines if line["event"].startswith("trainer_")]
    assert {line["event"] for line in about} >= {"trainer_started", "trainer_ended"}
    assert {(line["run_id"], line["trace_id"]) for line in about} == {(end.run_id, request.trace)}
