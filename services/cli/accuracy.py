"""`mailweir feedback accuracy`: how often decisions are right, as the model expects and as people who were asked by lot say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailweir.schemas.errors import RecordError, SetupError
from mailweir.schemas.events import Decision, ReviewAsked
from mailweir.schemas.topics import CLASSIFIED, REVIEW
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.moments import moment
from mailweir.services.cli.output import Column, Rows, console, emit

if TYPE_CHECKING:
    from mailweir.models.evaluation.expected import Accuracy, Expected, Verdict
    from mailweir.models.feedback import FeedbackRow
    from mailweir.services.settings import Settings

__all__ = ["accuracy", "table_since", "verdicts_of"]


def accuracy(
    *,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Decisions written since then: 2026-03-02T09:00, or 90m, 2h, 7d ago.")
    ] = "7d",
    ledger: Annotated[
        str | None, typer.Option(metavar="URI", help="Folder or object store of the ledger; else that of the settings.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line for each head and version.")] = False,
) -> None:
    r"""Show how often each head is right: estimated without labels, and realised where people were asked by lot.

    Estimated is the mean calibrated probability of the labels decided. It holds while calibration does, and says nothing of
    labels that come to mean something else.

    Realised counts only verdicts on decisions that the review queue drew by lot (`mailweir worker review`, MAILWEIR_REVIEW_RANDOM_SHARE),
    with its 95 % interval; error is estimated less realised, and is marked where the estimate lies outside. What people say of
    themselves is no fair sample, since they correct what is wrong: it counts under said only, and gives an upper limit, since
    what is called wrong is not right. Needs [bold]pip install 'mailweir\[feedback]'[/].

    [bold]mailweir feedback accuracy --since 30d[/]

    Exit codes: 0 shown, also where nothing is there yet; 1 the broker went away; 2 no broker, no topic, or no ledger.
    """
    settings = client_settings(ledger=ledger)
    table = asyncio.run(table_since(settings, moment(since, "--since")))
    if as_json:
        for one in table:
            emit(asdict(one))
    else:
        _print(table)


def verdicts_of(rows: Iterable[FeedbackRow]) -> Iterator[Verdict]:
    """Per decision and head the latest word of a person that stands; rules and habits are no verdicts. Pure."""
    from mailweir.models.evaluation.expected import Verdict
    from mailweir.models.feedback import last_words

    found: dict[tuple[str, str], Verdict] = {}
    for row in last_words(rows):
        for head, said in row.corrected.heads.items():
            decided = row.decided.heads.get(head)
            if row.origin == "human" and decided is not None:
                key = (row.decision_id, head)
                found[key] = Verdict(row.decision_id, head, right=decided.label == said.label)
    return iter(found.values())


async def table_since(settings: Settings, since: datetime) -> list[Accuracy]:
    """Of the decisions written since then, with all verdicts on them."""
    from mailweir.models.evaluation.expected import Expected
    from mailweir.services.topics import require

    rows = _ledger(settings)
    await require(settings, (CLASSIFIED, REVIEW))
    expected = Expected()
    await _decisions(settings, since, expected)
    expected.judged(verdicts_of(rows), await _chances(settings))
    return expected.table()


def _ledger(settings: Settings) -> list[FeedbackRow]:
    try:
        from mailweir.services.feedback.ledger import all_rows
        from mailweir.services.feedback.store import Store
    except ImportError as error:
        raise SetupError(f"the ledger needs a package ({error}): pip install 'mailweir[feedback]'") from error
    return all_rows(Store(settings.ledger))


async def _decisions(settings: Settings, since: datetime, expected: Expected) -> None:
    from mailweir.services.stream import KafkaBus

    scan = KafkaBus(settings).scan(settings.topic_name(CLASSIFIED.name))
    await scan.start(int(since.timestamp() * 1_000))
    try:
        await scan.to_end()
        while records := await scan.pull():
            for record in records:
                _count(record.value, expected)
    finally:
        await scan.stop()


def _count(value: bytes, expected: Expected) -> None:
    try:
        decision = Decision.decode(value)
    except RecordError:  # somebody else's rubbish: `mailweir watch` tells of it
        return
    expected.decided(
        decision.decision_id,
        decision.model.version,
        {name: head.probability for name, head in decision.heads.items()},
    )


async def _chances(settings: Settings) -> Mapping[str, float]:
    """Of the decisions that were drawn by lot."""
    from mailweir.services.stream import KafkaBus

    journal = KafkaBus(settings).journal(settings.topic_name(REVIEW.name))
    try:
        records = await journal.rest()
    finally:
        await journal.stop()
    found = {}
    for record in records:
        with suppress(RecordError):  # as above
            asked = ReviewAsked.decode(record.value)
            if asked.why == "random" and asked.chance:
                found[asked.decision_id] = asked.chance
    return found


def _print(table: list[Accuracy]) -> None:
    to = console()
    columns = (
        Column("head", 15),
        Column("model", 12, 4, grows=True),
        Column("decisions", 9, right=True),
        Column("estimated", 9, right=True),
        Column("verdicts", 8, right=True),
        Column("realised", 8, right=True),
        Column("95 %", 13, 2, right=True),
        Column("error", 7, 1, right=True),
        Column("said", 6, 5, right=True),
        Column("at most", 7, 3, right=True),
    )
    rows = Rows(to, columns)
    for one in table:
        rows.add(_cells(one))
    if not rows.count:
        to.print("no decisions since then")
    elif not any(one.verdicts for one in table):
        to.print(
            "nothing realised: nobody answered a question that was drawn by lot (`mailweir review next`)", markup=False
        )
    if any(one.within is False for one in table):
        to.print(
            "! = the estimate lies outside the interval: the probabilities of this head no longer mean what they say"
        )


def _cells(one: Accuracy) -> dict[str, Any]:
    return {
        "head": one.head,
        "model": one.version,
        "decisions": f"{one.decisions:,}",
        "estimated": f"{one.estimated:.3f}",
        "verdicts": f"{one.verdicts:,}",
        "realised": "" if one.realised is None else f"{one.realised:.3f}",
        "95 %": "" if one.low is None else f"{one.low:.3f} {one.high:.3f}",
        "error": "" if one.error is None else f"{one.error:+.3f}{'!' if one.within is False else ''}",
        "said": f"{one.said:,}",
        "at most": f"{one.at_most:.3f}",
    }
