"""Past decisions are derived again from the log, and what cannot be derived is told from what differs."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bundles import promote, stocked
from factories import memory_bus, settings

from mailweir.models.registry import Registry
from mailweir.models.runtime import Bundle
from mailweir.schemas.errors import InputError
from mailweir.schemas.events import Coordinates, Decision, Email, utc_now
from mailweir.services.classify.again.mails import Mails
from mailweir.services.classify.again.past import milliseconds
from mailweir.services.classify.again.replay import Replayed, Replayer, replay_past
from mailweir.services.classify.again.shelf import Shelf
from mailweir.services.classify.decide import decide_all
from mailweir.services.classify.rules import Rulebook, parse_rules
from mailweir.services.classify.source import bundle_source
from mailweir.services.cli.moments import moment
from mailweir.services.memory import MemoryBus
from mailweir.services.stream import Outgoing

RULE = '[[rule]]\nname = "{}"\nwhen.mailbox = "sales"\nset.priority = "urgent"\n'
NONE = Rulebook()


@dataclass
class Log:
    """Mails and decisions about them, as a worker leaves them."""

    bus: MemoryBus
    registry: Registry

    def mail(self, number: int) -> tuple[Email, Coordinates]:
        """A mail on its topic."""
        text = f"please ship order PO-{number:05d} by Friday"
        email = Email(email_id=f"{number:064x}", mailbox="sales", subject="Order", body=text)
        place = self.bus.write(Outgoing("mail.parsed", email.email_id.encode(), email.encode())).coordinates
        return email, place

    def decide(self, version: str, *numbers: int, rules: Rulebook = NONE, **changes: Any) -> list[Decision]:
        """Decisions of a version about new mails; `changes` are what it did not say."""
        bundle = Bundle.load(self.registry.root / "email" / version)
        made = [one.decision for one in decide_all(bundle, rules, [self.mail(number) for number in numbers])]
        decisions = [decision.model_copy(update=changes) for decision in made]
        for decision in decisions:
            self.bus.write(Outgoing("mail.classified", decision.email_id.encode(), decision.encode()))
        return decisions

    async def replay(self, rules: Rulebook = NONE, **options: Any) -> list[Replayed]:
        """All of it."""
        scan = self.bus.scan("mail.classified")
        await scan.start(milliseconds(options.pop("since", None)))
        await scan.to_end()
        known = settings(registry=self.registry.root)
        replayer = Replayer(Mails(self.bus.lookup(), known), Shelf(bundle_source(known)), rules)
        return [one async for step in replay_past(scan, replayer, **options) for one in step.replayed]


@pytest.fixture
def log(tmp_path: Path, tiny: Path) -> Log:
    """Two versions, the second one champion."""
    registry = stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    promote(registry, "1.b")
    return Log(memory_bus(2), registry)


def outcomes(found: list[Replayed]) -> Counter[str]:
    """How often each."""
    return Counter(one.outcome for one in found)


async def test_what_was_decided_is_decided_again_by_whoever_decided_it(log: Log) -> None:
    """Decisions of two versions in one log, each by its own bundle, in other batches than at first."""
    for version, numbers in (("1.a", range(9)), ("1.b", range(9, 14)), ("1.a", range(14, 17))):
        log.decide(version, *numbers)
    found = await log.replay()
    assert outcomes(found) == {"same": 17}
    assert Counter(one.again.model.version for one in found if one.again) == {"1.a": 12, "1.b": 5}


async def test_a_decision_that_does_not_come_out_again_is_named_with_its_fields(log: Log) -> None:
    """Another label, a probability beyond the tolerance; one within it is the same."""
    [one] = log.decide("1.a", 1)
    [two] = log.decide("1.a", 2)
    other = "spam" if one.heads["category"].label != "spam" else "work"
    near, off = (round(two.heads["category"].probability - less, 4) for less in (0.0001, 0.0002))
    for decision, change in ((one, {"label": other}), (two, {"probability": near}), (two, {"probability": off})):
        heads = decision.heads | {"category": decision.heads["category"].model_copy(update=change)}
        log.bus.write(Outgoing("mail.classified", b"x", decision.model_copy(update={"heads": heads}).encode()))
    found = await log.replay()
    assert outcomes(found) == {"same": 3, "differs": 2}
    differs = {one.decision.email_id: one.fields for one in found if one.outcome == "differs"}
    assert differs == {
        one.email_id: ("heads.category.label",),
        two.email_id: ("heads.category.probability",),
    }


async def test_what_cannot_be_derived_again_says_why(log: Log) -> None:
    """The bundle is gone or another lies under its name; the mail expired, or its topic was made anew."""
    log.decide("1.a", 1, 2)
    log.decide("1.b", 3)
    gone = log.decide("1.a", 4)[0].source
    assert gone
    log.decide("1.a", 5, source=Coordinates(topic="mail.parsed", partition=0, offset=10_000))
    log.decide("1.a", 6, source=gone)
    log.decide("1.a", 7, source=None)
    shutil.rmtree(log.registry.root / "email" / "1.b")
    found = await log.replay()
    assert outcomes(found) == {"same": 3, "bundle_gone": 1, "expired": 1, "failed": 2}
    [why] = [one.why for one in found if one.outcome == "bundle_gone"]
    assert "bundle email 1.b is gone" in why
    assert "mailweir models add" in why
    manifest = log.registry.root / "email" / "1.a" / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_text(manifest.read_text() + " ")
    found = await log.replay()
    assert outcomes(found)["bundle_gone"] == 4
    assert "is not the one that was promoted" in next(one.why for one in found if "1.a" in one.why)


async def test_rules_are_part_of_what_is_derived(log: Log, tmp_path: Path) -> None:
    """With the rules in hand, or without any, as the decision's id says; under others nothing is compared."""
    files = [tmp_path / f"{name}.toml" for name in ("one", "two")]
    for file in files:
        file.write_text(RULE.format(file.stem))
    one, two = map(parse_rules, files)
    log.decide("1.a", 1, 2, rules=one)
    log.decide("1.a", 3)
    assert outcomes(await log.replay(one)) == {"same": 3}
    assert outcomes(await log.replay(two)) == {"same": 1, "other_rules": 2}
    found = await log.replay()
    assert outcomes(found) == {"same": 1, "other_rules": 2}
    assert "set MAILWEIR_CLASSIFY_RULES" in next(one.why for one in found if one.why)


async def test_a_range_and_a_single_decision(log: Log) -> None:
    """By the time at which they were written; one by its id, found though another names it as superseded."""
    [first, *_] = log.decide("1.a", 1, 2)
    log.decide("1.a", 3, supersedes=first.decision_id)
    log.bus.write(Outgoing("mail.classified", b"x", b"rubbish"))
    hour = timedelta(hours=1)
    assert len(await log.replay(since=utc_now() - hour)) == 3
    assert await log.replay(since=utc_now() + hour) == await log.replay(until=utc_now() - hour) == []
    assert [one.decision for one in await log.replay(only=first.decision_id)] == [first]
    assert await log.replay(only="f" * 64) == []


@pytest.mark.parametrize(
    ("text", "ago"), [("90m", timedelta(minutes=90)), ("2h", timedelta(hours=2)), ("7d", timedelta(days=7))]
)
def test_a_time_is_a_date_or_how_long_ago(text: str, ago: timedelta) -> None:
    """Without a zone it is the local one."""
    before = utc_now()
    assert before <= moment(text, "--since") + ago <= utc_now()
    assert moment("2026-03-02T12:00+03:00", "--since") == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert moment("2026-03-02", "--since") == datetime(2026, 3, 2).astimezone()
    with pytest.raises(InputError, match="--since soon is no time"):
        moment("soon", "--since")
