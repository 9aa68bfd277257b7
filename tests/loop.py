"""Mails, decisions and words about them, as they lie on the topics; every number makes others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from mailweir.models.feedback import Corrected, Decided, FeedbackRow
from mailweir.schemas.events import (
    Address,
    Alternative,
    Coordinates,
    Correction,
    Decision,
    Email,
    Entity,
    Feedback,
    HeadDecision,
    Language,
    ModelRef,
    NextAction,
    TaxonomyRef,
)
from mailweir.schemas.ids import decision_id, digest
from mailweir.services.stream import Outgoing

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TAXONOMY = TaxonomyRef(name="email", version=1)
MODEL = ModelRef(name="email", version="1.0.0")


def mail(number: int) -> Email:
    """A parsed mail with a purchase order in its body."""
    return Email(
        email_id=digest("test", str(number)),
        mailbox="sales",
        subject=f"Order {number}",
        sender=Address(name="Ann", address="ann@customer.example"),
        body=f"Please ship PO-{number:05d} to +90 532 000 00 00 by Friday.",
        language=Language(code="en", probability=0.99),
    )


def decided(email: Email, source: Coordinates, **changes: Any) -> Decision:
    """What a model made of it: work, and one entity."""
    code = email.body.split()[2]
    values: dict[str, Any] = {
        "decision_id": decision_id(email.email_id, "email:1.0.0", "email:1", "1"),
        "email_id": email.email_id,
        "source": source,
        "model": MODEL,
        "taxonomy": TAXONOMY,
        "tier": "encoder",
        "heads": {
            "category": HeadDecision(label="work", probability=0.91, abstained=False),
            "priority": HeadDecision(label="normal", probability=0.55, abstained=False),
        },
        "next_actions": (NextAction(label="validate_po", probability=0.8),),
        "entities": (Entity(type="po_number", text=code, field="body", start=12, end=12 + len(code), probability=0.9),),
        "language": "en",
        "needs_review": False,
        "decided_at": NOON,
    }
    return Decision(**(values | changes))


def word(decision: Decision, person: str = "u-1", label: str = "finance", minute: int = 0, **changes: Any) -> Feedback:
    """A correction of its category."""
    assert decision.source
    values: dict[str, Any] = {
        "decision_id": decision.decision_id,
        "email_id": decision.email_id,
        "source": decision.source,
        "model": decision.model,
        "taxonomy": decision.taxonomy,
        "heads": {"category": Correction(label=label)},
        "person": person,
        "origin": "human",
        "given_at": NOON + timedelta(minutes=minute),
    }
    return Feedback(**(values | changes))


def row(offset: int, person: str = "u-1", minute: int = 0, **changes: Any) -> FeedbackRow:
    """A row of the ledger."""
    values: dict[str, Any] = {
        "topic": "mail.feedback",
        "partition": 0,
        "offset": offset,
        "feedback_id": digest("row", str(offset)),
        "decision_id": digest("decision", "1"),
        "email_id": digest("mail", "1"),
        "person": person,
        "origin": "human",
        "given_at": NOON + timedelta(minutes=minute),
        "taxonomy_name": "email",
        "taxonomy_version": 1,
        "model_name": "email",
        "model_version": "1.0.0",
        "subject": f"Order {offset}",
        "body": "Where is it?",
        "decided": Decided(heads={"category": Alternative(label="work", probability=0.9)}),
        "corrected": Corrected(heads={"category": Correction(label="finance")}),
    }
    return FeedbackRow(**(values | changes))


def on(topic: str, event: Email | Decision | Feedback) -> Outgoing:
    """The record of an event, keyed as the topics table says."""
    return Outgoing(topic, event.email_id.encode(), event.encode())
