"""Two worker processes on the real broker follow a promotion and a rollback while mail goes on."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import pytest
from bundles import promote, stocked
from command import mailweir
from factories import settings
from fleet import Fleet, read_all

from mailweir.models.registry import Registry
from mailweir.schemas.events import Decision, Email, ModelPromoted, utc_now
from mailweir.services.broker import KafkaCluster
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus, Outgoing
from mailweir.services.topics import apply

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

_PATIENCE_S = 60.0


class Stream:
    """Parsed mails at a steady rate until it is told to end."""

    def __init__(self, known: Settings) -> None:
        self.sent = 0
        self._known = known
        self._over = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def end(self) -> int:
        """How many were sent."""
        self._over.set()
        await self._task
        return self.sent

    async def _run(self) -> None:
        sink = KafkaBus(self._known).sink()
        await sink.start()
        while not self._over.is_set():
            await sink.send([self._mail(self.sent + number) for number in range(10)])
            self.sent += 10
            await asyncio.sleep(0.1)
        await sink.stop()

    @staticmethod
    def _mail(number: int) -> Outgoing:
        email = Email(email_id=f"{number:064x}", mailbox="sales", subject="Order", body=f"please ship order {number}")
        return Outgoing("mail.parsed", email.email_id.encode(), email.encode())


async def _all_serve(fleet: Fleet, version: str) -> None:
    """Wait until every worker says so."""
    began = time.monotonic()
    for worker in fleet.workers:
        while await asyncio.to_thread(worker.figure, "mailweir_bundle_info", version=version) != 1:
            assert time.monotonic() - began < _PATIENCE_S, worker.log.read_text()[-2000:]
            await asyncio.sleep(0.05)


def _since_pointer(registry: Registry) -> float:
    """Seconds since the champion was written."""
    champion = registry.champion("email")
    assert champion
    return (utc_now() - champion.at).total_seconds()


async def _decided(known: Settings, sent: int) -> list[Decision]:
    """All decisions, once every mail has one."""
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            found = [Decision.decode(value) for _, value, _ in await read_all(known, "mail.classified")]
            if len({decision.email_id for decision in found}) == sent:
                return found
            await asyncio.sleep(0.3)


async def test_two_workers_follow_a_promotion_and_a_rollback(tmp_path: Path, broker: KafkaCluster, tiny: Path) -> None:
    """Each mail is decided once, by the champion before or after; both workers change within seconds of both."""
    known, registry = settings(kafka_bootstrap=broker.bootstrap), stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    await apply(known)
    environment = {
        "MAILWEIR_KAFKA_BOOTSTRAP": broker.bootstrap,
        "MAILWEIR_REGISTRY": str(registry.root),
        "MAILWEIR_REGISTRY_POLL_MS": "500",
    }
    told = {"registry": str(registry.root), "kafka_bootstrap": broker.bootstrap}
    with Fleet(tmp_path, environment) as fleet:
        await asyncio.to_thread(fleet.start, ("classify",))
        await _all_serve(fleet, "1.a")
        stream = Stream(known)
        await asyncio.sleep(2)
        done = await asyncio.to_thread(mailweir, "models", "promote", "1.b", "--why", "better", **told)
        assert done.code == 0, done.err
        await _all_serve(fleet, "1.b")
        forward = _since_pointer(registry)
        middle = stream.sent
        await asyncio.sleep(2)
        done = await asyncio.to_thread(mailweir, "models", "rollback", "--why", "worse", **told)
        assert done.code == 0, done.err
        await _all_serve(fleet, "1.a")
        back = _since_pointer(registry)
        after = stream.sent
        await asyncio.sleep(1)
        sent = await stream.end()
        decisions = await _decided(known, sent)
        swaps = [await asyncio.to_thread(worker.figure, "mailweir_model_swaps_total") for worker in fleet.workers]
    versions = {int(decision.email_id, 16): decision.model.version for decision in decisions}
    print(
        f"\nboth workers: promotion followed in {forward:.2f} s, rollback in {back:.2f} s; {sent} mails, {Counter(versions.values())}"
    )
    assert len(decisions) == sent  # nothing twice
    assert swaps == [2, 2]
    assert set(versions.values()) == {"1.a", "1.b"}
    assert "1.b" in {version for number, version in versions.items() if number >= middle}
    assert {version for number, version in versions.items() if number >= after} == {"1.a"}
    assert await read_all(known, "mail.dead") == []
    announced = [ModelPromoted.decode(value) for _, value, _ in await read_all(known, "mail.models")]
    assert [(event.model.version, event.cause) for event in announced] == [("1.b", "better"), ("1.a", "worse")]
    assert announced[0].uri == (registry.root / "email" / "1.b").as_uri()
