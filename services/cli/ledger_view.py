"""What `mailweir feedback show` tells of a ledger: counts and rows, never a text."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from mailweir.models.feedback import FeedbackRow, last_words
from mailweir.services.cli.output import Column, Rows, console
from mailweir.services.cli.rows import local_time
from mailweir.services.feedback.ledger import all_rows
from mailweir.services.feedback.names import SHARDS, Shard, shards
from mailweir.services.feedback.store import Store

__all__ = ["View", "look", "print_view"]

_SHOWN = ("category", "intent", "action", "priority", "workflow_state")


@dataclass(frozen=True, slots=True)
class View:
    """A ledger, looked at once."""

    uri: str
    rows: list[FeedbackRow]  # one per place
    words: list[FeedbackRow]  # what counts of them
    closed: list[Shard]
    announced: int
    limit: int

    @property
    def latest(self) -> list[FeedbackRow]:
        """The last rows by time."""
        ordered = sorted(self.rows, key=lambda row: (row.given_at, row.place))
        return ordered[-self.limit :] if self.limit else []

    def counts(self) -> dict[str, int]:
        """How many there are of what."""
        origins = Counter(row.origin for row in self.rows)
        return {
            "rows": len(self.rows),
            "last_words": len(self.words),
            "withdrawals": sum(row.withdraws is not None for row in self.rows),
            "persons": len({row.person for row in self.rows}),
            "decisions": len({row.decision_id for row in self.rows}),
            **{origin: origins[origin] for origin in ("human", "rule", "implicit")},
            "shards": len(self.closed),
            "shards_announced": self.announced,
        }

    def json(self) -> dict[str, Any]:
        """For scripts."""
        return {"ledger": self.uri, **self.counts(), "latest": [_without_text(row) for row in self.latest]}


def look(uri: str, limit: int) -> View:
    """Read the whole ledger.

    Raises:
        DependencyError: the store does not answer.
        SetupError: the address cannot be opened, or a file is no part of a ledger.
    """
    store = Store(uri)
    rows = all_rows(store)
    there = store.names(SHARDS)
    announced = sum(name.endswith(".json") for name in there)
    return View(store.uri(), rows, last_words(rows), shards(there), announced, limit)


def print_view(view: View) -> None:
    """For people."""
    to = console()
    to.print(f"[bold]ledger[/] {view.uri}", soft_wrap=True)
    to.print(", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in view.counts().items()))
    columns = (
        Column("given", 19),
        Column("person", 12),
        Column("origin", 8, 2),
        Column("email", 12, 3),
        Column("says", 24, grows=True),
    )
    rows = Rows(to, columns)
    for row in view.latest:
        rows.add(
            {
                "given": local_time(row.given_at),
                "person": row.person,
                "origin": row.origin,
                "email": row.email_id[:12],
                "says": _said(row),
            }
        )


def _said(row: FeedbackRow) -> str:
    if row.corrected.empty:
        return f"withdraws {row.withdraws[:12]}" if row.withdraws else "nothing"
    heads = row.corrected.heads
    parts = [f"{name}={heads[name].label}" for name in (*_SHOWN, *sorted(set(heads) - set(_SHOWN))) if name in heads]
    if row.corrected.next_actions is not None:
        parts.append(f"next: {' '.join(row.corrected.next_actions) or 'none'}")
    marks = len(row.corrected.entities_added) + len(row.corrected.entities_removed)
    return " ".join([*parts, *([f"{marks} entities"] if marks else [])])


def _without_text(row: FeedbackRow) -> dict[str, Any]:
    """A row as JSON without what the mail says, entities of it included."""
    hidden: Any = {
        "subject": True,
        "body": True,
        "decided": {"entities"},
        "corrected": {"entities_added", "entities_removed"},
    }
    return row.model_dump(mode="json", exclude=hidden)
