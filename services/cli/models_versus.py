"""`mailweir models diff` without mails: what champion and shadow decided on the topics, and who was right."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mailweir.schemas.errors import AccessRefused, InputError, RecordError, TopicMissing
from mailweir.schemas.events import Decision, Feedback, ModelRef, utc_now
from mailweir.schemas.topics import CLASSIFIED, FEEDBACK, SHADOW, Topic
from mailweir.services.cli.output import Column, Rows, complain, console, emit, progress
from mailweir.services.cli.versus import Answer, HeadVersus, Versus, answer_of, truths, versus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mailweir.services.cli.output import Advance
    from mailweir.services.settings import Settings
    from mailweir.services.stream import Record

__all__ = ["compare_on_topics"]

_DAY_MS = 24 * 60 * 60 * 1_000
# the champion's decision of a mail is published before the shadow takes it up; the shadow has few mails waiting
_BEFORE_MS = 60 * 60 * 1_000


def compare_on_topics(
    settings: Settings, models: tuple[ModelRef, ModelRef], days: float, limit: int, *, as_json: bool
) -> bool:
    """Print the comparison of two versions, champion first; True if they differ on a mail.

    Raises:
        InputError: no mail has decisions of both.
    """
    with progress("reading decisions", None, rows_on_stdout=True) as advance:
        found = asyncio.run(_read(settings, models, days, advance))
    compared = versus(found.champion, found.shadow, truths(found.words))
    champion, shadow = (model.version for model in models)
    if not compared.mails:
        topic = settings.topic_name(SHADOW.name)
        raise InputError(
            f"no mail of the last {days:g} days has decisions of both: of {shadow} there are {len(found.shadow)} on {topic}, "
            f"of {champion} about the same mails {len(found.champion)}. `mailweir models shadow` says who scores; --days looks further back"
        )
    if as_json:
        emit(_json(compared, champion, shadow))
    else:
        _print(compared, champion, shadow, limit)
    return compared.differ > 0


@dataclass
class _Found:
    """What the topics hold of the sample."""

    champion: dict[str, Answer] = field(default_factory=dict)  # by email id
    shadow: dict[str, Answer] = field(default_factory=dict)
    words: list[Feedback] = field(default_factory=list)


async def _read(settings: Settings, models: tuple[ModelRef, ModelRef], days: float, advance: Advance) -> _Found:
    found, champion, shadow = _Found(), *models
    begin = int(utc_now().timestamp() * 1_000 - days * _DAY_MS)
    first = None
    async for record, decision in _decisions(settings, SHADOW, begin, advance):
        if decision.model == shadow:
            found.shadow[decision.email_id] = answer_of(decision)
            first = min(first or record.timestamp_ms, record.timestamp_ms)
    if first is None:
        return found
    begin = first - _BEFORE_MS
    async for _, decision in _decisions(settings, CLASSIFIED, begin, advance):
        if decision.model == champion and decision.email_id in found.shadow:
            found.champion[decision.email_id] = answer_of(decision)
    found.words = await _words(settings, begin, found.champion)
    return found


async def _decisions(
    settings: Settings, topic: Topic, begin: int, advance: Advance
) -> AsyncIterator[tuple[Record, Decision]]:
    async for record in _since(settings, topic, begin):
        advance(1, len(record.value))
        try:
            yield record, Decision.decode(record.value)
        except RecordError as error:
            complain(f"{record.topic}[{record.partition}]@{record.offset}: {error.message}")


async def _words(settings: Settings, begin: int, emails: Mapping[str, Answer]) -> list[Feedback]:
    """What was said about these mails; none where our user may not read it."""
    found = []
    try:
        async for record in _since(settings, FEEDBACK, begin):
            try:
                word = Feedback.decode(record.value)
            except RecordError:  # the feedback agent rejects it, with its cause
                continue
            answer = emails.get(word.email_id)
            if answer and answer.taxonomy == f"{word.taxonomy.name}:{word.taxonomy.version}":
                found.append(word)
    except (AccessRefused, TopicMissing) as error:
        complain(f"who was right is not known, what people said cannot be read (user feedback may): {error.message}")
    return found


async def _since(settings: Settings, topic: Topic, begin: int) -> AsyncIterator[Record]:
    from mailweir.services.cli.opening import open_topic

    async with open_topic(settings, topic) as tail:
        async for record in tail.since(begin):
            yield record


def _json(compared: Versus, champion: str, shadow: str) -> dict[str, Any]:
    return {
        "champion": champion,
        "shadow": shadow,
        "mails": compared.mails,
        "differ": compared.differ,
        "alone": compared.alone,
        "heads": {name: head.figures() for name, head in compared.heads.items()},
    }


def _print(compared: Versus, champion: str, shadow: str, limit: int) -> None:
    to = console()
    to.print(f"{compared.differ} of {compared.mails} mails differ between {champion} and {shadow}", style="bold")
    if compared.alone:
        to.print(f"{compared.alone} more were decided by {shadow} and not by {champion}", style="dim")
    rows = Rows(to, _AGREEMENT)
    for name, head in compared.heads.items():
        rows.add(_agreement(name, head))
    _print_pairs(compared, limit)
    if not any(head.judged or head.disputed for head in compared.heads.values()):
        to.print("\nnobody has said yet who was right", style="dim")
        return
    to.print("\nby what people said:", style="bold")
    rows = Rows(to, _RIGHT)
    for name, head in compared.heads.items():
        rows.add(_right(name, head))
    to.print("people see the champion's answer first: what they leave standing speaks for it", style="dim")


def _print_pairs(compared: Versus, limit: int) -> None:
    pairs = [
        (count, name, *pair)
        for name, head in compared.heads.items()
        for pair, count in head.pairs.items()
    ]  # fmt: skip
    if not pairs or not limit:
        return
    to = console()
    to.print()
    rows = Rows(to, _PAIRS)
    for count, name, before, after in sorted(pairs, key=lambda pair: -pair[0])[:limit]:
        rows.add({"mails": str(count), "head": name, "champion": before or "-", "shadow": after or "-"})
    if len(pairs) > limit:
        to.print(f"… {len(pairs) - limit} more pairs: --limit N shows them", style="dim")


_AGREEMENT = (
    Column("head", 17),
    Column("mails", 7, right=True),
    Column("same", 7, right=True),
    Column("95 %", 15, right=True),
)
_PAIRS = (Column("mails", 7, right=True), Column("head", 14), Column("champion", 24), Column("shadow", 24, grows=True))
_RIGHT = (
    Column("head", 17),
    Column("both", 6, right=True),
    Column("champion", 8, right=True),
    Column("shadow", 7, right=True),
    Column("neither", 7, right=True),
    Column("disputed", 8, 2, right=True),
    Column("shadow's share", 15, 1, right=True),
    Column("p", 6, right=True),
)


def _range(figures: tuple[float, float]) -> str:
    return f"{figures[0]:.1%}-{figures[1]:.1%}"


def _agreement(name: str, head: HeadVersus) -> dict[str, str]:
    figures = head.figures()
    cells = {"head": name, "mails": str(head.mails), "same": f"{figures['agreement']:.1%}"}
    return cells | {"95 %": _range(figures["agreement_interval"])}


def _right(name: str, head: HeadVersus) -> dict[str, str]:
    figures = head.figures()
    counts = {
        "both": head.both_right,
        "champion": head.champion_right,
        "shadow": head.shadow_right,
        "neither": head.both_wrong,
        "disputed": head.disputed,
    }
    texts = {"shadow's share": _range(figures["shadow_share_of_wins_interval"]), "p": f"{figures['p']:.3f}"}
    return {"head": name, **{title: str(count) for title, count in counts.items()}, **texts}
