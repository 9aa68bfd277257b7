"""A ledger with words of two people, and a registry whose bundles learned from its shards."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from bundles import promote, version_of
from loop import NOON, row

from mailweir.models.feedback import FeedbackRow
from mailweir.models.registry import Registry
from mailweir.schemas.events import Coordinates, Feedback
from mailweir.schemas.ids import digest
from mailweir.services.feedback.holdings import HeldFile, holdings, withdrawals
from mailweir.services.feedback.join import withdrawal
from mailweir.services.feedback.ledger import Ledger
from mailweir.services.feedback.shards import ShardLimits, announcement
from mailweir.services.feedback.store import Store

PLACE = ("mail.feedback", 0)
PERSON = "u-1"
LATER = NOON + timedelta(days=1)
_LIMITS = ShardLimits(rows=1, size=1, age=timedelta(hours=1))


def words(first: int = 0) -> list[FeedbackRow]:
    """Two words of the person and two of another, each about a mail of its own."""
    return [
        row(
            first + number,
            PERSON if number % 2 else "u-2",
            decision_id=digest("decision", str(first + number)),
            email_id=digest("mail", str(first + number)),
        )
        for number in range(4)
    ]


def keep(folder: Path, rows: Sequence[FeedbackRow], *, closed: bool = True) -> None:
    """Append rows as the agent does, and close and announce their shard."""
    ledger = Ledger(Store(str(folder)))
    pages = ledger.turn_to(PLACE)
    ledger.append(pages, rows)
    if closed:
        assert ledger.close(pages, rows[-1].offset + 1, 1_000)
    for shard in pages.unannounced:
        ledger.store.create(shard.announcement, announcement(ledger.store, shard, _LIMITS).encode())


def take_back(folder: Path, first: int, *, closed: bool = True) -> list[Feedback]:
    """Withdraw what the person said in their name, as rows from the offset `first` on."""
    made = withdrawals(holdings(Store(str(folder)), PERSON).open, "operator", "asked for", LATER)
    rows = [
        withdrawal(one, Coordinates(topic=PLACE[0], partition=0, offset=first + number))
        for number, one in enumerate(made)
    ]
    keep(folder, rows, closed=closed)
    return made


def learned(shards: Sequence[HeldFile], used: Sequence[FeedbackRow] | None, start: str | None = None) -> dict[str, Any]:
    """What a trainer writes into the manifest."""
    given = [{"shard_id": one.name, "sha256": one.sha256, "uri": one.path, "admitted_rows": 1} for one in shards]
    data: dict[str, Any] = {"feedback": {"run_id": "r", "parent": {"name": "email", "version": "1"}, "shards": given}}
    data |= {} if used is None else {"fitted_rows": [f"feedback-{one.feedback_id}" for one in used]}
    return {"data": data, "recipe": {"continued_from": start}}


def add(root: Path, tiny: Path, version: str, manifest: dict[str, Any]) -> Registry:
    """A version that learned from that, promoted."""
    registry = Registry(root / "registry")
    registry.add(version_of(tiny, root, version, **manifest))
    promote(registry, version)
    return registry
