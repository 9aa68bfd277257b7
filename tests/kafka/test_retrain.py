"""The retrain trigger as a process on a real broker: killed between shards it asks once; the command line asks and shows."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import time
from pathlib import Path

import pytest
from command import mailweir
from factories import settings
from fleet import Fleet, read_all
from shards import file_shard, record

from mailweir.schemas.events import RetrainFinished, RetrainRequested, ShardClosed, utc_now
from mailweir.services.broker import KafkaCluster
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus
from mailweir.services.topics import apply

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

SHARDS = 6  # of ten words each; sixty are enough


async def _write(known: Settings, *events: ShardClosed | RetrainFinished) -> None:
    sink = KafkaBus(known).sink()
    await sink.start()
    await sink.send([record(event) for event in events])
    await sink.stop()


async def _requests(known: Settings) -> list[RetrainRequested]:
    found = await read_all(known, "mail.retrain")
    return [RetrainRequested.decode(value) for _, value, headers in found if b"requested" in headers["ce_type"]]


async def _wait_for_request(known: Settings, count: int, seconds: float = 60) -> list[RetrainRequested]:
    end = time.monotonic() + seconds
    while len(found := await _requests(known)) < count:
        assert time.monotonic() < end, f"{len(found)} of {count} requests came"
    return found


async def test_killed_between_shards_it_asks_exactly_once(tmp_path: Path, broker: KafkaCluster) -> None:
    """Kill -9 after each shard, while it reads and when the request is out: one request, with these shards and hashes."""
    known = settings(kafka_bootstrap=broker.bootstrap)
    await apply(known)
    environment = {
        "MAILWEIR_KAFKA_BOOTSTRAP": broker.bootstrap,
        "MAILWEIR_SESSION_TIMEOUT_MS": "3000",
        "MAILWEIR_INSTANCE": "one",
        "MAILWEIR_LEDGER": str(tmp_path),
        "MAILWEIR_RETRAIN_MIN_LABELS": "60",
        "MAILWEIR_RETRAIN_MIN_INTERVAL_HOURS": "0",
        "MAILWEIR_RETRAIN_LOOK_SECONDS": "0.5",
    }
    shards = [file_shard(tmp_path, number, people=10) for number in range(SHARDS + 2)]
    with Fleet(tmp_path, environment) as fleet:
        worker = fleet.add("retrain")
        worker.start()
        worker.wait_ready()
        kills = 0
        for number, closed in enumerate(shards[:SHARDS]):
            await _write(known, closed)
            if number < SHARDS - 1:
                await asyncio.sleep(random.uniform(0, 0.3))
            worker.end(signal.SIGKILL)
            worker.start()
            kills += 1
            if number % 2:
                worker.wait_ready()
        await _wait_for_request(known, 1)
        for closed in shards[SHARDS:]:
            worker.end(signal.SIGKILL)
            await _write(known, closed)
            worker.start()
            worker.wait_ready()
            kills += 1
        await asyncio.sleep(3)
        [request] = await _requests(known)
        wanted = [(one.shard_id, one.sha256) for one in shards[:SHARDS]]
        assert [(one.shard_id, one.sha256) for one in request.shards] == wanted
        print(f"\nretrain kill test: {kills} kills, {len(shards)} shards, 1 request of {len(request.shards)} shards")
        end = RetrainFinished(run_id=request.run_id, outcome="failed", finished_at=utc_now())
        await _write(known, end)  # a failed run has taught nothing: all eight are asked for
        _, second = await _wait_for_request(known, 2)
        assert len(second.shards) == SHARDS + 2
        assert worker.end(signal.SIGTERM) == 0


async def test_the_command_asks_and_shows(tmp_path: Path, broker: KafkaCluster) -> None:
    """No shard: it says what is missing. One: a run. Again: that run goes on. The status tells all of it."""
    known = settings(kafka_bootstrap=broker.bootstrap)
    await apply(known)
    where = {"KAFKA_BOOTSTRAP": broker.bootstrap, "LEDGER": str(tmp_path)}
    none = mailweir("retrain", "now", "--why", "new products", **where)
    assert none.code == 1
    assert "there is no shard to learn from" in none.err
    assert "mail.shards" in none.err
    await _write(known, file_shard(tmp_path, 1, people=10, wrong=4))
    asked = mailweir("retrain", "now", "--why", "new products", "--by", "k7", "--json", **where)
    request = RetrainRequested.decode(asked.out.encode())
    assert (request.cause, request.requested_by, len(request.shards)) == ("new products", "k7", 1)
    assert await _requests(known) == [request]
    again = mailweir("retrain", "now", "--why", "hurry", **where)
    assert again.code == 1
    assert f"run {request.run_id[:12]} goes on" in again.err
    told = json.loads(mailweir("retrain", "status", "--json", **where).out)
    assert (told["shards"], told["new_shards"], told["open_run"]) == (1, 1, request.run_id)
    assert (told["policy"]["run"], told["policy"]["reasons"], told["policy"]["new_labels"]) == (False, ["run_open"], 10)
    await _write(
        known, RetrainFinished(run_id=request.run_id, outcome="refused", reasons=("f1 fell",), finished_at=utc_now())
    )
    shown = mailweir("retrain", "status", **where).out
    assert "refused" in shown
    assert "f1 fell" in shown
    assert "new products" in shown
