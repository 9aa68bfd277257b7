"""End to end on this machine: mails per second with the encoder on every mail, and CPU per mail by process and step.

`make bench` runs it. Figures depend on the machine; the test asserts only that every mail was decided.
"""

from __future__ import annotations

import asyncio
import os
import re
import urllib.request
from collections.abc import Iterable
from pathlib import Path

import pytest
from bench.footprint import cpu_ms, mails
from factories import settings
from fleet import Fleet, Worker, read_all

from mailweir.schemas.events import Decision
from mailweir.services.broker import KafkaCluster
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus
from mailweir.services.topics import apply

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]

MAILS = int(os.environ.get("BENCH_MAILS", "2000"))


def _steps(worker: Worker) -> dict[str, tuple[float, int]]:
    """Seconds and observations by step, from the worker's own metrics."""
    url = worker.metrics
    with urllib.request.urlopen(url, timeout=5) as answer:
        text = answer.read().decode()
    found = re.findall(r'mailweir_step_seconds_(sum|count)\{stage="(\w+)",step="(\w+)"\} ([\d.e+-]+)', text)
    steps: dict[str, tuple[float, int]] = {}
    for kind, stage, step, value in found:
        seconds, count = steps.get(f"{stage} {step}", (0.0, 0))
        steps[f"{stage} {step}"] = (float(value), count) if kind == "sum" else (seconds, int(float(value)))
    return steps


async def _decided(known: Settings, count: int) -> list[Decision]:
    async with asyncio.timeout(800):
        while True:
            found = await read_all(known, "mail.classified")
            if len(found) >= count:
                return [Decision.decode(value) for _, value, _ in found]
            await asyncio.sleep(2)


def _report(title: str, lines: Iterable[str]) -> None:
    print(f"\n{title}")
    for line in lines:
        print(f"  {line}")


@pytest.mark.parametrize("processes", [1, 2])
async def test_mails_per_second(tmp_path: Path, processes: int) -> None:
    """Topics filled first, then workers of both agents on them: from the first decision to the last."""
    with KafkaCluster() as broker:
        known = settings(kafka_bootstrap=broker.bootstrap)
        await apply(known)
        sink = KafkaBus(known).sink()
        await sink.start()
        await sink.send(mails(MAILS))
        await sink.stop()
        module = ("-m", "mailweir.services.cli", "worker", "ingest")
        with Fleet(tmp_path, {"MAILWEIR_KAFKA_BOOTSTRAP": broker.bootstrap}, module) as fleet:
            await asyncio.to_thread(fleet.start, ["classify"], processes)
            decisions = await _decided(known, MAILS)
            times = sorted(decision.decided_at for decision in decisions)
            seconds = (times[-1] - times[0]).total_seconds()
            cpu = sum(cpu_ms(worker.process.pid) for worker in fleet.workers if worker.process)
            steps = [_steps(worker) for worker in fleet.workers]
    tokens = sorted(decision.timings_ms["model"] for decision in decisions)
    _report(
        f"{processes} worker process(es), {MAILS} corpus mails, encoder on every mail",
        [
            f"{MAILS / seconds:.0f} mails/s end to end",
            f"{cpu / MAILS:.1f} ms CPU per mail in the worker processes, start-up included",
            f"model share per mail: median {tokens[len(tokens) // 2]:.1f} ms",
            *(
                f"{name}: {sum(s[name][0] for s in steps if name in s) / MAILS * 1_000:.2f} ms per mail"
                for name in sorted({n for s in steps for n in s})
            ),
        ],
    )
    assert len({decision.email_id for decision in decisions}) == MAILS
