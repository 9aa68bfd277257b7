"""Decisions and dead letters as rows of a table."""

from __future__ import annotations

from datetime import datetime

from rich.console import Console
from rich.text import Text

from mailweir.schemas.events import DeadLetter, Decision
from mailweir.services.cli.output import Column, Rows, file_size, plain

__all__ = ["UNSURE", "dead_cells", "dead_rows", "decision_cells", "decision_rows", "first_sentence"]

UNSURE = "? = not sure enough: a person should look"
"""What the mark behind a label means."""

_HEADS = {
    "category": 12,
    "intent": 18,
    "action": 12,
    "priority": 9,
    "workflow_state": 11,
}  # head → widest label and mark
_TITLES = {"workflow_state": "state"}
_CATEGORY_STYLES = {"spam": "red", "work": "cyan", "finance": "yellow", "personal": "magenta"}


def decision_rows(to: Console, first: str, width: int = 16) -> Rows:
    """A table of decisions; `first` titles the column that names the mail."""
    # on a narrow terminal what a person should look at outlives all but the category
    ranks = dict(zip(_HEADS, (1, 4, 5, 6, 7), strict=True))
    heads = {name: Column(_TITLES.get(name, name), size, ranks[name]) for name, size in _HEADS.items()}
    columns = (
        Column(first, width, grows=True),
        Column("lang", 5, 8),
        heads["category"],
        Column("sure", 4, 3, right=True),
        *(heads[name] for name in list(_HEADS)[1:]),
        Column("review", 9, 2),
        Column("found", 5, 10, right=True),
        Column("asks", 4, 9, right=True),
        Column("model", 12, 11),
    )
    return Rows(to, columns)


def decision_cells(decision: Decision) -> dict[str, str | Text]:
    """What a row shows of a decision, but for the mail's name."""
    category = decision.heads.get("category")
    cells: dict[str, str | Text] = {_TITLES.get(name, name): _label(decision, name) for name in _HEADS}
    return cells | {
        "lang": decision.language,
        "sure": f"{category.probability:.0%}" if category else "",
        "review": decision.review_cause or "",
        "found": str(len(decision.entities) or ""),
        "asks": str(len(decision.action_items) or ""),
        "model": decision.model.version,
    }


def first_sentence(decision: Decision) -> str:
    """What the summary begins with; empty where the mail has none."""
    from mailweir.models.text.sentences import split_sentences

    summary = decision.summary or ""
    return next((summary[one.start : one.end] for one in split_sentences(summary)), "")


def dead_rows(to: Console, first: str, width: int = 8) -> Rows:
    """A table of dead letters; `first` titles the column that names the letter."""
    columns = (
        Column(first, width),
        Column("when", 19, 3),
        Column("stage", 8, 2),
        Column("code", 16),
        Column("bytes", 8, 1, right=True),
        Column("from", 18, 4),
        Column("message", 24, grows=True),
    )
    return Rows(to, columns)


def dead_cells(letter: DeadLetter, size: int) -> dict[str, str | Text]:
    """What a row shows of a dead letter, but for its name."""
    source = letter.source
    return {
        "when": local_time(letter.rejected_at),
        "stage": letter.stage,
        "code": Text(letter.code, "red"),
        "bytes": file_size(size),
        "from": f"{source.topic}[{source.partition}]@{source.offset}",
        "message": letter.message,
    }


def local_time(moment: datetime) -> str:
    """A moment on this machine's clock."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _label(decision: Decision, name: str) -> Text:
    head = decision.heads.get(name)
    if head is None:
        return Text("")
    if head.abstained:
        return Text(plain(head.label) + "?", "dim")
    return Text(plain(head.label), _CATEGORY_STYLES.get(head.label, "") if name == "category" else "")
