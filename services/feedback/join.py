"""A word, the decision that it is about, and the mail: checked against each other and joined into one row. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from mailweir.models.feedback import Corrected, Decided, FeedbackRow
from mailweir.schemas.errors import InvalidEvent, OtherTaxonomy, UnknownDecision
from mailweir.schemas.events import (
    Alternative,
    Coordinates,
    Decision,
    Email,
    EntityMark,
    Feedback,
)
from mailweir.services.feedback.desks import desks_of
from mailweir.services.feedback.marks import Fields, moved
from mailweir.services.feedback.redaction import Redaction

__all__ = ["check", "check_time", "joined", "withdrawal"]

_AHEAD = timedelta(minutes=10)
"""A clock may be wrong by so much."""


def check_time(feedback: Feedback, recorded: datetime) -> None:
    """Hold the time that a word claims against the time stamp of its record.

    The last word wins: one from a time to come would win for years, and could not be taken back by a later one. It is refused and
    not moved back, since its id, which a withdrawal names, follows from the time that its sender knows. Kafka itself refuses
    records stamped more than an hour ahead of the broker (message.timestamp.after.max.ms).

    Raises:
        InvalidEvent: it claims a later time than its record can have.
    """
    ahead = feedback.given_at - recorded
    if ahead > _AHEAD:
        raise InvalidEvent(
            f"given_at: {ahead.total_seconds() / 60:,.0f} minutes ahead of the record's own time, at most {_AHEAD.seconds // 60} are "
            "taken: set the sender's clock",
            fields=["given_at"],
        )


def check(feedback: Feedback, decision: Decision, email: Email) -> None:
    """Hold a word against the decision and the mail that it names.

    Raises:
        UnknownDecision: they are of another mail.
        OtherTaxonomy: the labels are not of the label space that was decided in.
        InvalidEvent: the model is another, a confirmed label is not the decision's, or a mark is not where it is said to be.
    """
    if decision.decision_id != feedback.decision_id or decision.email_id != feedback.email_id:
        raise UnknownDecision(f"decision {feedback.decision_id} is not about mail {feedback.email_id}")
    if decision.taxonomy != feedback.taxonomy:
        said, made = feedback.taxonomy, decision.taxonomy
        raise OtherTaxonomy(
            f"taxonomy {said.name} {said.version} was named, the decision is in {made.name} {made.version}: copy it from there"
        )
    if decision.model != feedback.model:
        raise InvalidEvent("model: not the one of the decision; copy it from there", fields=["model"])
    for name, correction in feedback.heads.items():
        made_head = decision.heads.get(name)
        if correction.confirmed and (made_head is None or made_head.label != correction.label):
            raise InvalidEvent(f"heads.{name}: confirmed, but the decision has another label", fields=[f"heads.{name}"])
    _check_marks(feedback, decision, email)


def _check_marks(feedback: Feedback, decision: Decision, email: Email) -> None:
    fields = _fields(email)
    for mark in (*feedback.entities_added, *feedback.entities_removed):
        if not mark.text or fields[mark.field][mark.start : mark.end] != mark.text:
            raise InvalidEvent(f"entities: the {mark.field} has another text from {mark.start} to {mark.end}")
    found = {(one.type, one.field, one.start, one.end) for one in decision.entities}
    for mark in feedback.entities_removed:
        if (mark.type, mark.field, mark.start, mark.end) not in found:
            raise InvalidEvent(f"entities_removed: the decision has no {mark.type} there", fields=["entities_removed"])


def joined(
    feedback: Feedback, place: Coordinates, decision: Decision, email: Email, redaction: Redaction
) -> FeedbackRow:
    """The row of a word that was checked."""
    language, desks = email.language.code, desks_of(feedback, decision)
    before = _fields(email)
    after: Fields = {name: redaction.of(text, language, desks) for name, text in before.items()}

    def placed(marks: Iterable[EntityMark]) -> tuple[EntityMark, ...]:
        return moved(marks, before, after)

    return withdrawal(feedback, place).model_copy(
        update={
            "subject": after["subject"],
            "sender_domain": email.sender.address.rpartition("@")[2],
            "mailbox": redaction.of(email.mailbox, language, desks),
            "body": after["body"],
            "language": language,
            "decided": Decided(
                heads={n: Alternative(label=h.label, probability=h.probability) for n, h in decision.heads.items()},
                next_actions=decision.next_actions,
                entities=moved(decision.entities, before, after),
            ),
            "corrected": Corrected(
                heads=feedback.heads,
                next_actions=feedback.next_actions,
                entities_added=placed(feedback.entities_added),
                entities_removed=placed(feedback.entities_removed),
            ),
            "redaction": redaction.names,
        }
    )


def withdrawal(feedback: Feedback, place: Coordinates) -> FeedbackRow:
    """The row of a word without text and decision: all that a mere withdrawal has."""
    return FeedbackRow(
        topic=place.topic,
        partition=place.partition,
        offset=place.offset,
        feedback_id=feedback.event_id,
        decision_id=feedback.decision_id,
        email_id=feedback.email_id,
        person=feedback.person,
        origin=feedback.origin,
        given_at=feedback.given_at,
        given_by=feedback.given_by,
        withdraws=feedback.withdraws,
        taxonomy_name=feedback.taxonomy.name,
        taxonomy_version=feedback.taxonomy.version,
        model_name=feedback.model.name,
        model_version=feedback.model.version,
    )


def _fields(email: Email) -> Fields:
    return {"subject": email.subject, "body": email.body}
