"""No mail is lost when workers die: real processes, real broker, exact counts."""

from __future__ import annotations

import asyncio
import os
import random
from dataclasses import dataclass
from pathlib import Path

import pytest
from factories import settings
from fleet import Count, Fleet, send, settle

from mailweir.services.broker import KafkaCluster
from mailweir.services.settings import Settings
from mailweir.services.topics import apply

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(900)]


@dataclass
class Storm:
    """How much is sent and how much goes wrong meanwhile."""

    mails: int
    per_second: float
    kills: int
    stops: int
    pause: tuple[float, float] = (0.8, 2.5)


async def _rage(fleet: Fleet, storm: Storm) -> None:
    """Kill and stop at random moments, in random order."""
    deeds = ["kill"] * storm.kills + ["stop"] * storm.stops
    random.shuffle(deeds)
    for deed in deeds:
        await asyncio.sleep(random.uniform(*storm.pause))
        await asyncio.to_thread(fleet.kill_one if deed == "kill" else fleet.stop_one)


async def _run(fleet: Fleet, known: Settings, storm: Storm, patience: float) -> Count:
    await apply(known)
    with fleet:
        await asyncio.to_thread(fleet.start)
        await asyncio.gather(send(known, storm.mails, storm.per_second), _rage(fleet, storm))
        return await settle(known, storm.mails, patience)


def _fleet(folder: Path, broker: KafkaCluster, bundle: Path | None, *module: str) -> tuple[Fleet, Settings]:
    environment = {
        "MAILWEIR_KAFKA_BOOTSTRAP": broker.bootstrap,
        "MAILWEIR_SESSION_TIMEOUT_MS": "3000",
        "MAILWEIR_LOG_LEVEL": "info",
    }
    if bundle:
        environment["MAILWEIR_BUNDLE"] = str(bundle)
    fleet = Fleet(folder, environment, module) if module else Fleet(folder, environment)
    return fleet, settings(kafka_bootstrap=broker.bootstrap)


def _tell(name: str, fleet: Fleet, result: Count) -> None:
    """One line for the log of the run; the README's figures come from it."""
    print(
        f"\n{name}: sent {result.sent}, decided {result.decided}, dead {result.dead}, lost {len(result.lost)}, "
        f"repeated {result.repeats}, conflicts {len(result.conflicts)}; kill -9 {fleet.killed}, SIGTERM {fleet.stopped}"
    )


def _complete(result: Count) -> None:
    assert result.lost == []
    assert result.conflicts == []
    assert result.dead == result.sent // 100
    assert result.decided == result.sent - result.dead


async def test_ten_kills_lose_nothing(tmp_path: Path, broker: KafkaCluster, tiny: Path) -> None:
    """10,000 mails, two processes of each agent, ten times kill -9 and twice SIGTERM: every mail is decided or dead, once."""
    fleet, known = _fleet(tmp_path, broker, tiny)
    result = await _run(fleet, known, Storm(10_000, 700, kills=10, stops=2, pause=(0.4, 1.6)), patience=45)
    _tell("kill test", fleet, result)
    assert (fleet.killed, fleet.stopped) == (10, 2)
    _complete(result)


async def test_the_count_sees_losses(tmp_path: Path, broker: KafkaCluster, tiny: Path) -> None:
    """The same storm over workers that acknowledge before they publish: the count must find lost mail."""
    fleet, known = _fleet(tmp_path, broker, tiny, str(Path(__file__).parents[1] / "early_ack_worker.py"), "worker")
    result = await _run(fleet, known, Storm(4_000, 500, kills=8, stops=0, pause=(0.4, 1.0)), patience=8)
    _tell("early acknowledgement", fleet, result)
    assert result.lost


async def test_the_shipped_bundle_survives_kills_too(tmp_path: Path, broker: KafkaCluster) -> None:
    """A shorter storm with the model that ships: repeats under one id are the same answer, though batches differ."""
    fleet, known = _fleet(tmp_path, broker, None)
    result = await _run(fleet, known, Storm(1_000, 60, kills=4, stops=1, pause=(1.0, 2.5)), patience=60)
    _tell("kill test, shipped bundle", fleet, result)
    _complete(result)


@pytest.mark.slow
async def test_twenty_five_kills_and_broker_restarts(tmp_path: Path, broker: KafkaCluster, tiny: Path) -> None:
    """100,000 mails, 25 kills, 5 stops, 5 restarts of the broker. `make kill-test`."""
    fleet, known = _fleet(tmp_path, broker, tiny)
    mails = int(os.environ.get("KILL_TEST_MAILS", "100000"))

    async def restart_broker() -> None:
        for number in range(5):
            await asyncio.sleep(mails / 400 / 6)
            await asyncio.to_thread(broker.kill if number % 2 else broker.stop_node, 1)
            await asyncio.sleep(5)
            await asyncio.to_thread(broker.start_node, 1)

    restarts = asyncio.create_task(restart_broker())
    spread = mails / 400 / 32
    storm = Storm(mails, 400, kills=25, stops=5, pause=(spread * 0.5, spread * 1.5))
    result = await _run(fleet, known, storm, patience=120)
    await restarts
    _tell("long kill test", fleet, result)
    _complete(result)
