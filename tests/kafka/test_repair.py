"""A bad version on the real broker: demoted, its decisions repaired through a kill in the middle, and all of it replayed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from bundles import promote, stocked
from command import mailweir, running
from factories import settings
from fleet import Fleet

from mailweir.schemas.events import Decision, Email
from mailweir.services.broker import KafkaCluster
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus, Outgoing
from mailweir.services.topics import apply

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

_PATIENCE_S = 90
BAD = range(20, 170)  # the mails that the bad version decides


class Decisions:
    """What is on the topic, read as it comes."""

    def __init__(self, known: Settings) -> None:
        self._scan = KafkaBus(known).scan("mail.classified")
        self.all: list[Decision] = []

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Decisions]:
        await self._scan.start(0)
        try:
            yield self
        finally:
            await self._scan.stop()

    async def until(self, enough: Callable[[list[Decision]], bool]) -> list[Decision]:
        """Read on until there is enough."""
        async with asyncio.timeout(_PATIENCE_S):
            while not enough(self.all):
                await self._scan.to_end()
                while records := await self._scan.pull():
                    self.all += [Decision.decode(record.value) for record in records]
        return self.all


async def _send(known: Settings, numbers: Iterable[int]) -> None:
    sink = KafkaBus(known).sink()
    await sink.start()
    for number in numbers:
        email = Email(email_id=f"{number:064x}", mailbox="sales", subject="Order", body=f"please ship order {number}")
        await sink.send([Outgoing("mail.parsed", email.email_id.encode(), email.encode())])
    await sink.stop()


def _of(version: str, count: int) -> Callable[[list[Decision]], bool]:
    return lambda found: sum(one.model.version == version for one in found) >= count


async def _one_by(version: str, known: Settings, decisions: Decisions, numbers: range) -> None:
    """Send mails, the first one again and again until that version decides."""
    while not any(one.model.version == version for one in decisions.all):
        before = len(decisions.all)
        await _send(known, numbers[:1])
        await decisions.until(lambda found, before=before: len(found) > before)  # type: ignore[misc]
    await _send(known, numbers[1:])
    await decisions.until(_of(version, len(numbers)))


async def test_a_bad_version_is_repaired_through_a_kill_and_every_decision_replays(
    tmp_path: Path, broker: KafkaCluster, tiny: Path
) -> None:
    """Each of its mails gets one new decision of the good one, which names the old one; no other mail is touched."""
    known, registry = settings(kafka_bootstrap=broker.bootstrap), stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    await apply(known)
    where = {"kafka_bootstrap": broker.bootstrap, "registry": str(registry.root), "registry_poll_ms": "200"}
    environment = {f"MAILWEIR_{name.upper()}": value for name, value in where.items()}
    with Fleet(tmp_path, environment) as fleet:
        worker = fleet.add("classify")
        worker.start()
        await asyncio.to_thread(worker.wait_ready)
        async with Decisions(known).opened() as decisions:
            await _one_by("1.a", known, decisions, range(BAD.start))
            promote(registry, "1.b")
            await _one_by("1.b", known, decisions, BAD)
            undo = ("models", "rollback", "--reclassify", "--why", "worse")
            with running(*undo, batch_mails="1", **where) as process:
                await decisions.until(lambda found: any(one.supersedes for one in found))
                process.kill()
            done = await asyncio.to_thread(mailweir, "models", "reclassify", "1.b", "--json", **where)
            assert done.code == 0, done.err
            [report] = done.rows()
            await _send(known, [BAD.stop])
            found = await decisions.until(lambda found: found[-1].email_id == f"{BAD.stop:064x}")
    replayed = await asyncio.to_thread(mailweir, "replay", "--since", "1h", "--json", **where)
    assert registry.champion("email").model.version == "1.a"  # type: ignore[union-attr]
    old = {one.email_id: one for one in found if one.model.version == "1.b"}
    new = [one for one in found if one.supersedes]
    killed_after = len(new) - report["redecided"]
    print(f"\nrepair: {len(old)} mails of the bad version, killed after {killed_after}, then {report}; {replayed.out}")
    assert len(old) == len(BAD) == len(new)
    assert 0 < killed_after < len(BAD)
    assert report == {
        "version": "1.b",
        "champion": "1.a",
        "found": len(BAD) - killed_after,
        "redecided": len(BAD) - killed_after,
        "changed": 0,
        "expired": 0,
        "failed": 0,
        "still_deciding": False,
    }
    assert {one.email_id: one.supersedes for one in new} == {name: one.decision_id for name, one in old.items()}
    assert {one.model.version for one in {one.email_id: one for one in found}.values()} == {"1.a"}
    assert max(Counter(one.email_id for one in new).values()) == 1
    [counts] = replayed.rows()
    assert (replayed.code, counts["decisions"], counts["same"]) == (0, len(found), len(found))
    one = await asyncio.to_thread(mailweir, "replay", "--decision", new[0].decision_id, **where)
    assert (one.code, one.out) == (0, "1 decisions replayed, 1 same\n")
