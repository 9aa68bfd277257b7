"""Past decisions are derived again from the log, and what cannot be derived is told from what differs."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer
from bundles import promote, stocked
from factories import memory_bus, settings
from past import NONE, Log

from mailweir.schemas.errors import InputError
from mailweir.schemas.events import Coordinates, utc_now
from mailweir.services.classify.again.mails import Mails
from mailweir.services.classify.again.past import milliseconds
from mailweir.services.classify.again.replay import Replayed, Replayer, Step, replay_past
from mailweir.services.classify.again.shelf import Shelf
from mailweir.services.classify.rules import Rulebook, parse_rules
from mailweir.services.classify.source import bundle_source
from mailweir.services.cli.moments import moment
from mailweir.services.cli.replay import Plan, Tally
from mailweir.services.stream import Outgoing

RULE = '[[rule]]\nname = "{}"\nwhen.mailbox = "sales"\nset.priority = "urgent"\n'


async def replay(log: Log, rules: Rulebook = NONE, **options: Any) -> list[Replayed]:
    """All of it."""
    scan = log.bus.scan("mail.classified")
    await scan.start(milliseconds(options.pop("since", None)))
    await scan.to_end()
    known = settings(registry=log.registry.root)
    replayer = Replayer(Mails(log.bus.lookup(), known), Shelf(bundle_source(known)), rules)
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
    found = await replay(log)
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
        log.write(decision.model_copy(update={"heads": heads}))
    found = await replay(log)
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
    found = await replay(log)
    assert outcomes(found) == {"same": 3, "bundle_gone": 1, "expired": 1, "failed": 2}
    [why] = [one.why for one in found if one.outcome == "bundle_gone"]
    assert "bundle email 1.b is gone" in why
    assert "mailweir models add" in why
    manifest = log.registry.root / "email" / "1.a" / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_text(manifest.read_text() + " ")
    found = await replay(log)
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
    assert outcomes(await replay(log, one)) == {"same": 3}
    assert outcomes(await replay(log, two)) == {"same": 1, "other_rules": 2}
    found = await replay(log)
    assert outcomes(found) == {"same": 1, "other_rules": 2}
    assert "set MAILWEIR_CLASSIFY_RULES" in next(one.why for one in found if one.why)


async def test_a_range_and_a_single_decision(log: Log) -> None:
    """By the time at which they were written; one by its id, found though another names it as superseded."""
    [first, *_] = log.decide("1.a", 1, 2)
    log.decide("1.a", 3, supersedes=first.decision_id)
    log.bus.write(Outgoing("mail.classified", b"x", b"rubbish"))
    hour = timedelta(hours=1)
    assert len(await replay(log, since=utc_now() - hour)) == 3
    assert await replay(log, since=utc_now() + hour) == await replay(log, until=utc_now() - hour) == []
    assert [one.decision for one in await replay(log, only=first.decision_id)] == [first]
    assert await replay(log, only="f" * 64) == []


async def test_the_command_ends_with_what_it_found(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    """1 where one differs or cannot be told, 0 where all that is left is the same, 2 for an id that is nowhere."""
    [one] = log.decide("1.a", 1)
    two, other = log.decide("1.a", 2)[0], one.model_copy(update={"language": "xx", "summary": "Ann's words"})
    tally = Tally()
    tally.add(Step(1, [Replayed(one, "same"), Replayed(two, "expired", why="gone")]))
    tally.end(Plan(), settings())
    assert capsys.readouterr().out == "2 decisions replayed, 1 same, 1 expired\n"
    tally.add(Step(1, [Replayed(one, "differs", one.differences(other), other)]))
    assert ended(tally) == 1
    out = capsys.readouterr().out
    assert f"{one.decision_id} differs: summary; language {one.language} → xx\n" in out
    assert "Ann" not in out
    for outcome in ("bundle_gone", "other_rules", "failed"):
        tally = Tally(as_json=True)
        tally.add(Step(1, [Replayed(one, outcome, why="why it is"), Replayed(two, outcome, why="why it is")]))  # type: ignore[arg-type]
        assert ended(tally) == 1
        said = capsys.readouterr()
        assert said.err.count("why it is") == (0 if outcome == "failed" else 1)
        assert [orjson.loads(line).get("outcome") for line in said.out.splitlines()] == [outcome, outcome, None]
    with pytest.raises(InputError, match=r"no decision f+ on mail\.classified"):
        Tally().end(Plan("f" * 64), settings())


def ended(tally: Tally) -> int:
    """The exit code."""
    with pytest.raises(typer.Exit) as caught:
        tally.end(Plan(), settings())
    return caught.value.exit_code


@pytest.mark.parametrize(("arguments", "said"), [
    ((None, None, None), "which decisions"),
    (("abc", None, None), "abc is no decision id"),
    ((None, "soon", None), "--since soon is no time"),
    ((None, "2h", "later"), "--until later is no time"),
])  # fmt: skip
def test_what_cannot_be_asked_is_refused(arguments: tuple[str | None, ...], said: str) -> None:
    """Before any broker is asked."""
    with pytest.raises(InputError, match=said):
        Plan.of(*arguments)


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
