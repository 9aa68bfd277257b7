"""A bad version on the real broker: demoted by a person or by what people said, repaired through a kill, all of it replayed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from bundles import promote, stocked
from command import mailweir, running
from factories import settings
from fleet import Fleet, Worker, read_all
from shards import file_shard_of, record

from mailweir.models.registry import Registry
from mailweir.schemas.events import Decision, Email, ModelPromoted
from mailweir.services.broker import KafkaCluster
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus, Outgoing
from mailweir.services.topics import apply

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

_PATIENCE_S = 90
BAD = range(10, 110)  # the mails that the bad version decides


class Decisions:
    """What is on the topic, read as it comes."""

    def __init__(self, known: Settings) -> None:
        self._scan = KafkaBus(known).scan(known.topic_name("classified"))
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
    emails = [
        Email(email_id=f"{number:064x}", mailbox="sales", subject="Order", body=f"please ship order {number}")
        for number in numbers
    ]
    await sink.send([Outgoing(known.topic_name("parsed"), one.email_id.encode(), one.encode()) for one in emails])
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


async def _own_topics(kafka: KafkaCluster, registry: Registry) -> tuple[Settings, dict[str, str]]:
    """Topics and groups of the test's own on the shared broker: the settings, and the same for commands and workers."""
    name = f"repair{uuid4().hex[:8]}"
    known = settings(kafka_bootstrap=kafka.bootstrap, topic_prefix=name, group_prefix=name)
    await apply(known, partitions=2)
    where = {"kafka_bootstrap": kafka.bootstrap, "topic_prefix": name, "group_prefix": name}
    return known, where | {"registry": str(registry.root), "registry_poll_ms": "200"}


def _fleet(folder: Path, where: dict[str, str]) -> Fleet:
    return Fleet(folder, {f"MAILWEIR_{name.upper()}": value for name, value in where.items()})


async def test_a_bad_version_is_repaired_through_a_kill_and_every_decision_replays(
    tmp_path: Path, kafka: KafkaCluster, tiny: Path
) -> None:
    """Each of its mails gets one new decision of the good one, which names the old one; no other mail is touched."""
    registry = stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    known, where = await _own_topics(kafka, registry)
    with _fleet(tmp_path, where) as fleet:
        worker = fleet.add("classify")
        worker.start()
        await asyncio.to_thread(worker.wait_ready)
        async with Decisions(known).opened() as decisions:
            await _one_by("1.a", known, decisions, range(BAD.start))
            promote(registry, "1.b")
            await _one_by("1.b", known, decisions, BAD)
            undo = ("models", "rollback", "--reclassify", "--why", "worse")
            with running(*undo, batch_mails="1", **where) as process:
                await decisions.until(lambda found: sum(one.supersedes is not None for one in found) >= 5)
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


def _serves(worker: Worker, version: str) -> bool:
    return worker.figure("mailweir_bundle_info", name="email", version=version) == 1


async def test_what_people_say_demotes_a_champion_and_two_workers_follow(
    tmp_path: Path, kafka: KafkaCluster, tiny: Path
) -> None:
    """Shards say that six in ten of its verdicts are wrong: pointer, history and topic tell it, and nobody did anything."""
    registry = stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    promote(registry, "1.b")
    known, where = await _own_topics(kafka, registry)
    with _fleet(tmp_path, where | {"retrain_look_seconds": "0.5", "ledger": str(tmp_path)}) as fleet:
        workers = [fleet.add("classify"), fleet.add("classify")]
        for worker in [*workers, fleet.add("retrain")]:
            worker.start()
        for worker in fleet.workers:
            await asyncio.to_thread(worker.wait_ready)
        sink = KafkaBus(known).sink()
        await sink.start()
        for number, (version, wrong) in enumerate((("1.a", 6), ("1.b", 36))):
            closed = file_shard_of(tmp_path, number, version, people=60, wrong=wrong)
            await sink.send([record(closed, known.topic_prefix)])
        await sink.stop()
        async with asyncio.timeout(_PATIENCE_S):
            while not all([await asyncio.to_thread(_serves, one, "1.a") for one in workers]):  # noqa: ASYNC110 - a process tells
                await asyncio.sleep(0.2)
    made = registry.history("email")[-1]
    assert (made.action, made.by, made.model.version, len(registry.history("email"))) == (
        "rolled_back",
        "policy",
        "1.a",
        3,
    )
    told = [ModelPromoted.decode(value) for _, value, _ in await read_all(known, known.topic_name("models"))]
    assert [(event.model.version, event.cause) for event in told] == [("1.a", made.cause)]
