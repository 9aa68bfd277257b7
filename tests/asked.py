"""Decisions of every degree of doubt, and the questions that they become."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from loop import MODEL, NOON, TAXONOMY, decided, mail

from mailweir.schemas.events import Alternative, Coordinates, Decision, HeadDecision, ReviewAsked
from mailweir.schemas.ids import digest


def place(number: int, topic: str = "mail.classified") -> Coordinates:
    """Where record `number` lies."""
    return Coordinates(topic=topic, partition=0, offset=number)


def unsure(number: int, margin: float, label: str = "work", **changes: Any) -> Decision:
    """A decision whose label is so far ahead of its runner-up."""
    other = "finance" if label != "finance" else "work"
    runner_up = Alternative(label=other, probability=(1 - margin) / 2)
    head = HeadDecision(label=label, probability=(1 + margin) / 2, abstained=margin < 0.2, alternatives=(runner_up,))
    values = {"decision_id": digest("decided", str(number)), "heads": {"category": head}, "needs_review": margin < 0.2}
    cause = {"review_cause": "abstained"} if margin < 0.2 else {}
    source = changes.pop("source", place(number, "mail.parsed"))
    return decided(mail(number), source, **(values | cause | changes))


def question(number: int, at: datetime = NOON, **changes: Any) -> ReviewAsked:
    """A question about mail `number`."""
    about = unsure(number, 0.1)
    values: dict[str, Any] = {
        "decision_id": about.decision_id,
        "email_id": about.email_id,
        "source": about.source,
        "decision_source": place(number),
        "model": MODEL,
        "taxonomy": TAXONOMY,
        "labels": {"category": "work"},
        "language": "en",
        "why": "uncertain",
        "score": 0.9,
        "asked_at": at,
    }
    return ReviewAsked(**(values | changes))
