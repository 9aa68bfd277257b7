"""A rolling restart while mail flows: nothing is lost or decided twice, and no mail waits for a session to run out."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from factories import settings
from fleet import Fleet, Worker, mail, settle

from mailweir.schemas.ids import email_id
from mailweir.schemas.topics import CLASSIFIED, RAW, Topic
from mailweir.services.broker import KafkaCluster
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus, Record
from mailweir.services.stream.tail import Tail
from mailweir.services.topics import apply

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

PER_SECOND = 100
STEP = 10
SESSION_S = 240
"""As long as a dead member holds its partitions. Members that learned of a rebalance with the usual third of it would make mail wait
80 s; restarts take seconds, and tens of them on a machine that is busy with something else."""


def _surge(fleet: Fleet) -> None:
    """As a Deployment rolls: the new process handles mail before the old one is asked to go. New names each."""
    for old in list(fleet.workers):
        new = fleet.add(old.command[-1])
        new.start()
        new.wait_ready()
        _end(old)


def _in_place(fleet: Fleet) -> None:
    """As a machine's service restarts: the old process goes, the new one takes its name and its seat."""
    for worker in fleet.workers:
        _end(worker)
        worker.start()
        worker.wait_ready()


def _end(worker: Worker) -> None:
    assert worker.end(signal.SIGTERM) == 0, worker.log.read_text()[-2000:]


async def _records(known: Settings, topic: Topic) -> list[Record]:
    async with Tail(known, topic) as tail:
        return [record async for record in tail.present(10**6)]


async def waits(known: Settings) -> list[float]:
    """Seconds from each mail's arrival on `mail.raw` to its decision's on `mail.classified`, by time of arrival."""
    decided: dict[str, int] = {}
    for record in await _records(known, CLASSIFIED):
        decided.setdefault((record.key or b"").decode(), record.timestamp_ms)
    return list(_waits(await _records(known, RAW), decided))


def _waits(raw: list[Record], decided: dict[str, int]) -> Iterator[float]:
    for record in sorted(raw, key=lambda record: record.timestamp_ms):
        email = email_id((record.key or b"").decode(), record.value)
        if email in decided:
            yield (decided[email] - record.timestamp_ms) / 1_000


@pytest.mark.parametrize("roll", [_surge, _in_place])
async def test_a_rolling_restart_loses_nothing_and_waits_for_no_session(
    tmp_path: Path, broker: KafkaCluster, tiny: Path, roll: Callable[[Fleet], None]
) -> None:
    """Four workers replaced one after the other under load, with new names and with kept ones; no mail waits a quarter of a session."""
    known = settings(kafka_bootstrap=broker.bootstrap)
    await apply(known)
    environment = {
        "MAILWEIR_KAFKA_BOOTSTRAP": broker.bootstrap,
        "MAILWEIR_BUNDLE": str(tiny),
        "MAILWEIR_SESSION_TIMEOUT_MS": str(SESSION_S * 1_000),
    }
    with Fleet(tmp_path, environment) as fleet:
        for number, stage in enumerate(("ingest", "classify") * 2):
            fleet.add(stage, **({"MAILWEIR_INSTANCE": f"seat-{number}"} if roll is _in_place else {}))
        for worker in fleet.workers:
            worker.start()
        for worker in fleet.workers:
            worker.wait_ready()
        stop = asyncio.Event()
        flow = asyncio.create_task(_flow(known, stop))
        await asyncio.sleep(2)
        await asyncio.to_thread(roll, fleet)
        await asyncio.sleep(2)
        stop.set()
        sent = await flow
        result = await settle(known, sent, 90)
    seconds = sorted(await waits(known))
    print(
        f"\nrolling restart, {roll.__name__.strip('_')}: sent {sent}, lost {len(result.lost)}, repeated {result.repeats}, "
        f"wait of a mail: median {seconds[len(seconds) // 2]:.2f} s, longest {seconds[-1]:.2f} s"
    )
    assert result.lost == []
    assert result.repeats == 0
    assert seconds[-1] < SESSION_S / 4


async def _flow(known: Settings, stop: asyncio.Event) -> int:
    """A steady stream of mails until told to stop; their number."""
    sink = KafkaBus(known).sink()
    await sink.start()
    sent = 0
    while not stop.is_set():
        await sink.send([mail(number) for number in range(sent, sent + STEP)])
        sent += STEP
        await asyncio.sleep(STEP / PER_SECOND)
    await sink.stop()
    return sent
