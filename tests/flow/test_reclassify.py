"""What a demoted version decided is decided again: exactly that, once, and also after a kill in the middle."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bundles import promote, stocked
from factories import memory_bus, settings
from past import Log

from mailweir.models.registry import Registry
from mailweir.schemas.errors import BundleError, ChampionChanged, DependencyError, RegistryError
from mailweir.schemas.events import Coordinates, Decision, ModelRef, NextAction
from mailweir.schemas.headers import header
from mailweir.services.classify.again import reclassify
from mailweir.services.classify.again.demotion import demotion_of
from mailweir.services.classify.again.reclassify import Repair, Report
from mailweir.services.classify.rules import parse_rules
from mailweir.services.memory import MemoryBus, _MemorySink

BAD = ModelRef(name="email", version="1.b")


@pytest.fixture
def log(tmp_path: Path, tiny: Path) -> Log:
    """The second of three versions is champion."""
    registry = stocked(tmp_path, tiny, "1.a", "1.b", "1.c")
    promote(registry, "1.a")
    promote(registry, "1.b")
    return Log(memory_bus(2), registry)


async def repair(log: Log, advance: Callable[[int], None] = lambda _: None, **changes: Any) -> Report:
    """One run."""
    known = settings(registry=log.registry.root, registry_poll_ms=50, **changes)
    return await Repair(log.bus, known, log.registry, demotion_of(log.registry, BAD)).run(Report(), advance)


def demote(registry: Registry) -> None:
    """The first version is champion again."""
    registry.rollback("email", expected="1.b", cause="worse", by="ann")


def latest(log: Log) -> dict[int, str]:
    """Mail → the version whose decision counts."""
    return {number: found[-1].model.version for number, found in log.decisions().items()}


async def test_exactly_what_the_demoted_version_decided_last_is_decided_again(log: Log) -> None:
    """Its mails, not those that another decided before, after, or instead; each new decision names the one it supersedes."""
    log.decide("1.a", *range(5))
    bad = log.decide("1.b", *range(5, 25))
    again = log.decide("1.b", 0, 1)  # mails of the first version sent again
    log.decide("1.a", 23, 24)  # and two of the second that the first decided later
    demote(log.registry)
    report = await repair(log)
    assert report == Report(found=20, redecided=20)
    assert set(latest(log).values()) == {"1.a"}
    made = {one.email_id: one for found in log.decisions().values() for one in found if one.supersedes}
    assert {one.email_id: one.supersedes for one in made.values()} == {
        one.email_id: one.decision_id for one in [*bad[:18], *again]
    }
    first = log.decisions()[0]
    assert first[0].decision_id == first[-1].decision_id  # what the first version said before is said again
    assert first[0].same_answer(first[-1])
    [record] = [one for one in log.bus.records("mail.classified") if Decision.decode(one.value) == first[-1]]
    assert header(record.headers, "ce_source") == "/mailweir/reclassify"
    assert await repair(log) == Report()


async def test_labels_that_change_are_counted(log: Log) -> None:
    """Three of four said otherwise, one of them in what to do next."""
    [one] = log.decide("1.b", 1)
    label = "spam" if one.heads["category"].label != "spam" else "work"
    heads = one.heads | {"category": one.heads["category"].model_copy(update={"label": label})}
    log.decide("1.b", 2, 3, heads=heads)
    other = () if one.next_actions else (NextAction(label="validate_po", probability=0.9),)
    log.decide("1.b", 4, next_actions=other)
    demote(log.registry)
    assert await repair(log) == Report(found=4, redecided=4, changed=3)


async def test_a_mail_past_retention_is_counted_and_what_is_no_mail_as_well(log: Log) -> None:
    """Their old decisions stay; the others are repaired."""
    log.decide("1.b", 1, 2)
    log.decide("1.b", 3, source=Coordinates(topic="mail.parsed", partition=0, offset=10_000))
    log.decide("1.b", 4, source=None)
    demote(log.registry)
    assert await repair(log) == Report(found=4, redecided=2, expired=1, failed=1)
    assert latest(log) == {1: "1.a", 2: "1.a", 3: "1.b", 4: "1.b"}


async def test_killed_in_the_middle_it_goes_on(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka goes away after every second batch, one time before and one time behind the write: none left out, none doubled."""
    log.decide("1.b", *range(40))
    demote(log.registry)
    send, calls = _MemorySink.send, 0

    async def failing(sink: Any, records: Any) -> None:
        nonlocal calls
        calls += 1
        if calls % 4:
            await send(sink, records)
        if calls % 2 == 0:
            raise DependencyError("away")

    with monkeypatch.context() as patched:
        patched.setattr(_MemorySink, "send", failing)
        broken = 0
        while True:
            try:
                report = await repair(log, batch_mails=4)
                break
            except DependencyError:
                broken += 1
    assert broken >= 4
    assert report.found == report.redecided < 10
    decided = log.decisions()
    assert len(decided) == 40
    assert {len(found) for found in decided.values()} == {2}
    assert set(latest(log).values()) == {"1.a"}


async def test_workers_that_lag_behind_the_pointer_are_waited_for(log: Log) -> None:
    """What the demoted version still decides while the repair runs is repaired as well."""
    log.decide("1.b", *range(10))
    demote(log.registry)
    late = iter([range(10, 13), range(13, 15), range(3, 4)])

    def meanwhile(_: int) -> None:
        if numbers := next(late, None):
            log.decide("1.b", *numbers)

    report = await repair(log, meanwhile)
    assert (report.found, report.redecided, report.still_deciding) == (16, 16, False)
    assert set(latest(log).values()) == {"1.a"}


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """What happens before each look at the log, one after the other; a look for which nothing stands here is too many."""
    steps: list[Callable[[], object]] = []
    look = Repair._look

    async def looked(self: Repair) -> Any:
        steps.pop(0)()
        return await look(self)

    monkeypatch.setattr(Repair, "_look", looked)
    return steps


async def test_a_log_without_anything_to_repair_is_looked_at_again_until_workers_have_followed(
    log: Log, looks: list[Callable[[], object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look finds nothing, the next two what a slow worker still decided; only an empty one after their time is the last."""
    demote(log.registry)
    now = [log.registry.history("email")[-1].at]
    monkeypatch.setattr(reclassify, "utc_now", lambda: now[0])
    over = timedelta(milliseconds=3 * 50)
    looks += [
        lambda: None,
        lambda: (now.append(now.pop() + over), log.decide("1.b", 30)),
        lambda: log.decide("1.b", 31),
        lambda: None,
    ]
    assert await repair(log) == Report(found=2, redecided=2)
    assert looks == []


async def test_a_worker_that_never_follows_is_told_and_not_waited_for(
    log: Log, looks: list[Callable[[], object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty polls after the demotion it still decides: what was found is repaired, and the report says so."""
    demote(log.registry)
    now = [log.registry.history("email")[-1].at]
    monkeypatch.setattr(reclassify, "utc_now", lambda: now[0])
    looks += [
        lambda: log.decide("1.b", 1),
        lambda: (now.append(now.pop() + timedelta(milliseconds=30 * 50)), log.decide("1.b", 2)),
    ]
    assert await repair(log) == Report(found=2, redecided=2, still_deciding=True)


async def test_another_champion_in_the_middle_ends_it(log: Log) -> None:
    """What was repaired stays; run again it goes on with the new one."""
    log.decide("1.b", *range(20))
    demote(log.registry)

    def meanwhile(_: int) -> None:
        if log.registry.champion("email").model.version == "1.a":  # type: ignore[union-attr]
            promote(log.registry, "1.c")

    with pytest.raises(ChampionChanged, match=r"is 1\.c now.*mailweir models reclassify 1\.b"):
        await repair(log, meanwhile)
    assert sorted(latest(log).values()) == ["1.a"] * 8 + ["1.b"] * 12
    assert (await repair(log)).redecided == 12
    assert sorted(latest(log).values()) == ["1.a"] * 8 + ["1.c"] * 12


async def test_it_decides_as_workers_do(log: Log, tmp_path: Path) -> None:
    """Under the tenant's rules; with a champion that cannot be served nothing is written."""
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nname = "one"\nwhen.mailbox = "sales"\nset.priority = "urgent"\n')
    log.decide("1.b", 1)
    demote(log.registry)
    await repair(log, classify_rules=rules)
    [repaired] = log.decisions()[1][1:]
    assert repaired.reasons["priority"][0].text == "one"
    assert repaired.decision_id != log.decide("1.a", 1)[0].decision_id
    assert repaired.decision_id == log.decide("1.a", 1, rules=parse_rules(rules))[0].decision_id
    log.decide("1.b", 2)
    model = log.registry.root / "email" / "1.a" / "model.onnx"
    model.chmod(0o644)
    model.write_bytes(b"")
    with pytest.raises(BundleError, match=r"model\.onnx"):
        await repair(log)
    assert latest(log)[2] == "1.b"


def test_what_can_be_repaired(tmp_path: Path, tiny: Path) -> None:
    """Not the champion, nothing unknown, nothing without a champion; one that served before there was one can be."""
    registry = stocked(tmp_path, tiny, "1.a", "1.b")
    with pytest.raises(RegistryError, match="has no champion"):
        demotion_of(registry, BAD)
    promote(registry, "1.a")
    assert demotion_of(registry, BAD).since is None
    with pytest.raises(RegistryError, match=r"no version 1\.z of email"):
        demotion_of(registry, ModelRef(name="email", version="1.z"))
    promote(registry, "1.b")
    with pytest.raises(RegistryError, match="demote it first, mailweir models rollback"):
        demotion_of(registry, BAD)
    promote(registry, "1.a")
    found = demotion_of(registry, BAD)
    assert found.champion.model.version == "1.a"
    assert found.ended == registry.history("email")[2].at
    assert found.since is not None


async def test_a_bus_that_is_away_leaves_everything(log: Log) -> None:
    """Nothing is written."""
    log.decide("1.b", 1)
    demote(log.registry)
    log.bus.away = True
    with pytest.raises(DependencyError):
        await repair(log)
    log.bus.away = False
    assert isinstance(log.bus, MemoryBus)
    assert latest(log) == {1: "1.b"}
