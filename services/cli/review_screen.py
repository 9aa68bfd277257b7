"""A question on the terminal: the mail, what was decided and why, and the keys."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from mailweir.schemas.events import Decision, Email, HeadDecision, ReviewAsked
from mailweir.schemas.taxonomy import installed_taxonomy
from mailweir.services.cli.output import plain
from mailweir.services.cli.review_draft import ACTIONS, Draft
from mailweir.services.cli.review_place import Asked
from mailweir.services.cli.rows import local_time

__all__ = ["draw"]

_WHY = {
    "uncertain": "the model is unsure",
    "diverse": "the model is unsure, and labels like these were seldom asked about",
    "random": "drawn by lot",
}
_KEYS = "Enter right as it stands · 1-{last} change · m whole mail · s skip · u undo the last · q quit"
_MENU_KEYS = "a letter chooses · - cannot tell · Esc back"
_ACTION_KEYS = "letters switch on and off · - say nothing of them · Enter back"
_FRAME = 14  # lines of a screen that are neither body nor heads
_LEAST = 6  # lines of body, however small the terminal


def draw(to: Console, asked: Asked, draft: Draft, place: str, *, whole: bool = False) -> None:
    """Print all of it; `place` tells which question of how many this is."""
    to.clear()
    for line in _lines(to, asked, draft, place, whole=whole):
        to.print(line)


def _lines(to: Console, asked: Asked, draft: Draft, place: str, *, whole: bool) -> Iterator[Text]:
    yield Text(f"{place}  {_said(asked.question)}", "dim")
    yield from _mail(asked.email, None if whole else max(to.height - _FRAME - len(draft.heads), _LEAST))
    yield Text()
    if draft.menu:
        yield from _menu(draft)
        yield Text(_ACTION_KEYS if draft.menu == ACTIONS else _MENU_KEYS, "dim")
        return
    for number, head in enumerate(draft.heads, 1):
        yield _actions(number, draft) if head == ACTIONS else _head(number, head, draft)
    yield from _found(asked.decision)
    yield Text(_KEYS.format(last=len(draft.heads)), "dim")


def _said(question: ReviewAsked) -> str:
    return f"asked {local_time(question.asked_at)}: {_WHY[question.why]} ({question.score:.2f})"


def _mail(email: Email, most: int | None) -> Iterator[Text]:
    people = ", ".join(map(str, email.to))
    for name, value in (("From", str(email.sender)), ("To", people), ("Subject", email.subject)):
        yield Text.assemble((f"{name:<8}", "bold"), plain(value), no_wrap=True, overflow="ellipsis")
    if email.attachments:
        named = ", ".join(one.name or one.content_type for one in email.attachments)
        yield Text.assemble((f"{'Files':<8}", "bold"), plain(named), no_wrap=True, overflow="ellipsis")
    yield Text()
    lines = email.body.splitlines() or ["(no text)"]
    for line in lines[:most]:
        yield Text(plain(line))
    if most is not None and len(lines) > most:
        yield Text(f"… {len(lines) - most} more lines: m", "dim")


def _head(number: int, name: str, draft: Draft) -> Text:
    head = draft.decision.heads[name]
    line = Text.assemble((f"{number} ", "bold"), f"{name:<15} {_probable(head)}")
    if name in draft.said:
        line.append(f"  → {plain(draft.said[name] or 'nothing said')}", "bold yellow")
    reasons = draft.decision.reasons.get(name, ())
    if reasons:
        line.append(f"  because of {plain(', '.join(one.text for one in reasons))}", "dim")
    return line


def _probable(head: HeadDecision) -> str:
    ranked = [(head.label, head.probability), *((one.label, one.probability) for one in head.alternatives)]
    told = ", ".join(f"{plain(label)} {probability:.0%}" for label, probability in ranked)
    return f"{told}  ?" if head.abstained else told


def _actions(number: int, draft: Draft) -> Text:
    line = Text.assemble((f"{number} ", "bold"), f"{ACTIONS:<15} {', '.join(draft.chosen) or 'none'}")
    if draft.actions is not None:
        line.append("  → as shown", "bold yellow")
    return line


def _found(decision: Decision) -> Iterator[Text]:
    if decision.entities:
        told = ", ".join(f"{one.type} {one.text}" for one in decision.entities)
        yield Text(f"  found: {plain(told)}", "dim", no_wrap=True, overflow="ellipsis")


def _menu(draft: Draft) -> Iterator[Text]:
    taxonomy = installed_taxonomy(draft.decision.taxonomy.name, draft.decision.taxonomy.version)
    head = taxonomy.heads[draft.menu]
    yield Text.assemble((draft.menu, "bold"), f": {head.meaning}")
    for letter, label in draft.labels.items():
        mark = "*" if draft.menu == ACTIONS and label in draft.chosen else " "
        line = Text.assemble((f"{mark}{letter} ", "bold"), f"{label:<20} ", (head.labels[label], "dim"))
        line.no_wrap, line.overflow = True, "ellipsis"
        yield line
