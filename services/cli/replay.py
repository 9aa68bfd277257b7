"""`mailweir replay`: past decisions are derived again and must come out the same."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailweir.schemas.errors import InputError
from mailweir.schemas.topics import CLASSIFIED, PARSED
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.moments import moment
from mailweir.services.cli.output import Advance, complain, console, emit, plain, progress

if TYPE_CHECKING:
    from mailweir.schemas.events import Decision
    from mailweir.services.classify.again.replay import Replayed, Replayer, Step
    from mailweir.services.settings import Settings
    from mailweir.services.stream import Scan

__all__ = ["Plan", "Tally", "replay"]

_OUTCOMES = ("same", "differs", "expired", "bundle_gone", "other_rules", "failed")
_HOLDS_NO_TEXT = re.compile(r"(heads|next_actions)\.|(tier|language|needs_review|review_cause|truncated)$")
_SHOWN = 20  # rows of decisions that differ; --json has all


def replay(
    *,
    decision: Annotated[
        str | None, typer.Option("--decision", metavar="ID", help="One decision, by its id.", show_default=False)
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Every decision written since then: 2026-03-02T09:00, or 90m, 2h, 7d ago.",
            show_default=False,
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="… and before then; else all.", show_default=False)
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Rules of that time, instead of MAILWEIR_CLASSIFY_RULES.", show_default=False
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A line for each decision that is not the same, then the counts.")
    ] = False,
) -> None:
    """Derive past decisions again, with the bundle that each names, from the mail that it was made of: none may differ.

    A bundle is looked for in the registry and in MAILWEIR_BUNDLE, a mail on mail.parsed. What cannot be derived again is counted
    and told: the mail expired, the bundle is gone, the decision was made under other rules. Nothing is written.

    A decision differs where any field of its answer does: a label, or a probability by more than 1e-4. On a cluster with
    permissions it is the user operator that may read both topics.

    [bold]mailweir replay --since 24h[/]

    Exit codes: 0 all are the same, those left out whose mail has expired; 1 one differs, or could not be derived again because its
    bundle is gone or its rules are others; 2 no such decision, no broker, no topic, a time or rules that cannot be read.
    """
    plan = Plan.of(decision, since, until)
    settings = client_settings(classify_rules=rules)
    tally = Tally(as_json=as_json)
    with progress("replaying", None, rows_on_stdout=True, sized=False) as advance:
        asyncio.run(_replay(settings, plan, tally, advance))
    tally.end(plan, settings)


@dataclass(frozen=True, slots=True)
class Plan:
    """Which decisions."""

    decision: str = ""  # id; empty: all of the range
    since: datetime | None = None  # None: all that the topic holds
    until: datetime | None = None

    @classmethod
    def of(cls, decision: str | None, since: str | None, until: str | None) -> Plan:
        """From the options.

        Raises:
            InputError: they ask for nothing, or for what cannot be.
        """
        if decision is None and since is None:
            raise InputError("which decisions? --decision ID, or --since TIME (2026-03-02T09:00, 24h)")
        if decision is not None and not re.fullmatch(r"[0-9a-f]{64}", decision):
            raise InputError(
                f"{plain(decision)} is no decision id: 64 hex digits, as `mailweir watch --json` prints it"
            )
        return cls(
            decision or "",
            moment(since, "--since") if since else None,
            moment(until, "--until") if until else None,
        )


@dataclass
class Tally:
    """What came of it, told as it comes; memory does not grow with the decisions."""

    as_json: bool = False
    outcomes: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    _said: set[str] = field(default_factory=set)  # causes: one for each bundle and rules file

    @property
    def decisions(self) -> int:
        """All that were looked at."""
        return self.outcomes.total()

    def add(self, step: Step) -> None:
        """Count and tell."""
        for record, error in step.unreadable:
            self.unreadable += 1
            complain(f"{record.topic}[{record.partition}]@{record.offset} is no decision: {error.message}")
        for one in step.replayed:
            self.outcomes[one.outcome] += 1
            if one.outcome != "same":
                self._tell(one)

    def end(self, plan: Plan, settings: Settings) -> None:
        """The counts; leaves with 1 if not all is well, with 2 if there is no such decision."""
        if plan.decision and not self.decisions:
            name = settings.topic_name(CLASSIFIED.name)
            raise InputError(f"no decision {plan.decision} on {name}: it expired, or never was", id=plan.decision)
        counts = {"decisions": self.decisions} | {name: self.outcomes[name] for name in _OUTCOMES}
        if self.as_json:
            emit(counts | {"unreadable": self.unreadable})
        else:
            told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count)
            console().print(told.replace("decisions", "decisions replayed", 1) if told else "no decisions in that time")
        if self.unreadable or any(self.outcomes[name] for name in _OUTCOMES if name not in {"same", "expired"}):
            raise typer.Exit(1)

    def _tell(self, one: Replayed) -> None:
        if self.as_json:
            emit(_json(one))
        elif one.outcome == "differs" and self.outcomes["differs"] <= _SHOWN:
            said = "; ".join(_said(change) for change in _changes(one))
            console().print(f"{one.decision.decision_id} differs: {plain(said)}", markup=False, soft_wrap=True)
        if one.outcome in {"bundle_gone", "other_rules"} and one.why not in self._said:
            self._said.add(one.why)
            complain(f"{one.decision.decision_id} and maybe others: {one.why}")


async def _replay(settings: Settings, plan: Plan, tally: Tally, advance: Advance) -> None:
    from mailweir.services.classify.again.past import milliseconds
    from mailweir.services.classify.again.replay import replay_past

    async with _opened(settings) as (scan, replayer):
        await scan.start(milliseconds(plan.since))
        await scan.to_end()
        async for step in replay_past(scan, replayer, plan.until, plan.decision):
            tally.add(step)
            advance(step.read, 0)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[Scan, Replayer]]:
    from mailweir.services.classify.again.mails import Mails
    from mailweir.services.classify.again.replay import Replayer
    from mailweir.services.classify.again.shelf import Shelf
    from mailweir.services.classify.rules import Rulebook, parse_rules
    from mailweir.services.classify.source import bundle_source
    from mailweir.services.stream import KafkaBus
    from mailweir.services.topics import require

    rules = parse_rules(settings.classify_rules) if settings.classify_rules else Rulebook()
    shelf = Shelf(bundle_source(settings))
    await require(settings, (PARSED, CLASSIFIED))
    bus = KafkaBus(settings)
    scan, lookup = bus.scan(settings.topic_name(CLASSIFIED.name)), bus.lookup()
    try:
        yield scan, Replayer(Mails(lookup, settings), shelf, rules)
    finally:
        await asyncio.gather(scan.stop(), lookup.stop())


def _json(one: Replayed) -> dict[str, Any]:
    decision = one.decision
    return {
        "decision_id": decision.decision_id,
        "email_id": decision.email_id,
        "model": f"{decision.model.name} {decision.model.version}",
        "decided_at": decision.decided_at.isoformat(),
        "outcome": one.outcome,
        "changes": _changes(one),
        "why": one.why,
    }


def _changes(one: Replayed) -> list[dict[str, Any]]:
    """Per field, and where it can hold no text of the mail also what it was and is."""
    return [
        {"field": name}
        | (
            {"was": _value(one.decision, name), "now": _value(one.again, name)}
            if one.again and _HOLDS_NO_TEXT.match(name)
            else {}
        )
        for name in one.fields
    ]


def _value(decision: Decision, name: str) -> Any:
    found: Any = decision.model_dump(mode="json")
    for step in name.split("."):
        found = found[int(step)] if isinstance(found, list) else (found or {}).get(step)
    return found


def _said(change: dict[str, Any]) -> str:
    return f"{change['field']} {change['was']} → {change['now']}" if "was" in change else str(change["field"])
