"""`FeedbackRow`: one word about one decision, with the text that the model saw. Ledger and shards hold nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from mailweir.schemas.events import (
    Alternative,
    Correction,
    EntityMark,
    NextAction,
    Origin,
    Part,
    Sha256,
    UtcTime,
)

__all__ = ["Corrected", "Decided", "FeedbackRow", "once"]


class Decided(Part):
    """The decision as it was made."""

    heads: dict[str, Alternative] = Field(default_factory=dict, description="Per head, label and probability.")
    next_actions: tuple[NextAction, ...] = Field(default=(), description="What to do next.")
    entities: tuple[EntityMark, ...] = Field(default=(), description="Finds, placed in the redacted fields.")


class Corrected(Part):
    """What was said about it."""

    heads: dict[str, Correction] = Field(default_factory=dict, description="Per head, the right label.")
    next_actions: tuple[str, ...] | None = Field(default=None, description="The right list; null: nothing said.")
    entities_added: tuple[EntityMark, ...] = Field(default=(), description="Missed, placed in the redacted fields.")
    entities_removed: tuple[EntityMark, ...] = Field(default=(), description="None, placed in the redacted fields.")

    @property
    def empty(self) -> bool:
        """True if nothing is said, as in a mere withdrawal."""
        return self == Corrected()


class FeedbackRow(Part):
    """One record of `mail.feedback` that was accepted. A mere withdrawal has no text and no decision."""

    topic: str = Field(description="Where the feedback lies: topic with its prefix …")
    partition: int = Field(ge=0, description="… partition …")
    offset: int = Field(ge=0, description="… and offset. One row per place.")
    feedback_id: Sha256 = Field(description="The same word sent twice has the same id and two places.")
    decision_id: Sha256 = Field(description="The decision that it is about.")
    email_id: Sha256 = Field(description="The mail.")
    person: str = Field(description="Opaque id of who says it.")
    origin: Origin = Field(description="human, rule or implicit.")
    given_at: UtcTime = Field(description="When, to the millisecond.")
    given_by: str | None = Field(default=None, description="Who took it back in the person's name; null: the person.")
    withdraws: Sha256 | None = Field(default=None, description="The earlier feedback that it takes back.")
    taxonomy_name: str = Field(description="Label space of all labels: name …")
    taxonomy_version: int = Field(ge=1, description="… and version.")
    model_name: str = Field(description="The bundle that decided: name …")
    model_version: str = Field(description="… and version.")
    subject: str = Field(default="", description="Redacted.")
    sender_domain: str = Field(default="", description="What comes after the @ of the author's address.")
    mailbox: str = Field(default="", description="Redacted.")
    body: str = Field(default="", description="Redacted.")
    language: str = Field(default="other", description="en, tr, de, fr, es or other.")
    decided: Decided = Field(default=Decided(), description="The decision as it was made.")
    corrected: Corrected = Field(default=Corrected(), description="What was said about it.")
    redaction: tuple[str, ...] = Field(default=(), description="Kinds of personal data that were taken out, sorted.")

    @property
    def place(self) -> tuple[str, int, int]:
        """Topic, partition and offset."""
        return self.topic, self.partition, self.offset

    @property
    def by_another(self) -> bool:
        """True for a withdrawal that was given in the person's name."""
        return self.withdraws is not None and self.given_by is not None


def once(rows: Iterable[FeedbackRow]) -> list[FeedbackRow]:
    """One row per place, by place. Of several (two workers wrote the same range) the first of the iterable stays."""
    kept: dict[tuple[str, int, int], FeedbackRow] = {}
    for row in rows:
        kept.setdefault(row.place, row)
    return [row for _, row in sorted(kept.items())]
