"""The trainer agent as a process on a real broker: killed in the middle of a run, it leaves no process, and the next one goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from factories import settings
from fleet import Fleet, read_all
from shards import EMAIL, record

from mailweir.schemas.events import ModelRef, RetrainFinished, RetrainRequested
from mailweir.schemas.ids import digest
from mailweir.services.broker import KafkaCluster
from mailweir.services.stream import KafkaBus, Outgoing
from mailweir.services.topics import apply

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

SCRIPT = (
    'echo "$1 $$" >> {0}/starts; while [ ! -e {0}/go ]; do sleep 0.05; done; echo "mailweir: not today" >&2; exit 2'
)


async def _until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        await asyncio.sleep(0.05)


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_killed_in_a_run_it_leaves_nothing_behind_and_the_next_goes_on(
    tmp_path: Path, kafka: KafkaCluster
) -> None:
    """After kill -9 its process is gone as well; the next worker starts the same run and tells, once, how it ended."""
    prefix, here = f"t{uuid.uuid4().hex[:8]}", str(tmp_path)
    known = settings(kafka_bootstrap=kafka.bootstrap, topic_prefix=prefix)
    await apply(known, partitions=1)
    asked = RetrainRequested(
        run_id=digest("run", prefix),
        shards=(),
        champion=ModelRef(name="email", version="1.a"),
        taxonomy=EMAIL,
        cause="enough was said",
        requested_by="policy",
        requested_at=datetime.now(UTC),
    )
    made = record(asked)
    sink = KafkaBus(known).sink()
    await sink.start()
    await sink.send([Outgoing(f"{prefix}.retrain", made.key, made.value, made.headers)])
    await sink.stop()
    environment = {
        "MAILWEIR_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "MAILWEIR_TOPIC_PREFIX": prefix,
        "MAILWEIR_GROUP_PREFIX": prefix,
        "MAILWEIR_INSTANCE": "one",
        "MAILWEIR_METRICS_PORT": "0",
        "MAILWEIR_RETRAIN_LOOK_SECONDS": "0.5",
    }
    starts = tmp_path / "starts"
    lines = lambda: starts.read_text().splitlines() if starts.exists() else []  # noqa: E731
    worker = str(Path(__file__).parents[1] / "trainer_worker.py")
    with Fleet(tmp_path, environment, (worker, SCRIPT.format(here))) as fleet:
        one = fleet.add("trainer")
        one.start()
        await _until(lambda: len(lines()) == 1)
        first = int(lines()[0].split()[1])
        one.end(signal.SIGKILL)
        await _until(lambda: _gone(first))
        one.start()
        await _until(lambda: len(lines()) == 2)
        assert [line.split()[0] for line in lines()] == [asked.run_id] * 2
        (tmp_path / "go").touch()
        ends: list[RetrainFinished] = []
        while not ends:
            found = await read_all(known, f"{prefix}.retrain")
            ends = [RetrainFinished.decode(value) for _, value, headers in found if b"finished" in headers["ce_type"]]
        assert await asyncio.to_thread(one.end, signal.SIGTERM) == 0
    assert [(end.run_id, end.outcome) for end in ends] == [(asked.run_id, "failed")]
    assert "not today" in ends[0].reasons[0]
