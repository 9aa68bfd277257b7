"""What a person says about a decision, as the event and as the record that goes onto mail.feedback."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import typer
from pydantic import TypeAdapter, ValidationError

from mailweir.schemas.errors import InputError
from mailweir.schemas.events import Correction, Decision, Feedback, Origin, PersonId, utc_now
from mailweir.schemas.headers import child_traceparent, event_headers
from mailweir.schemas.ids import trace_id
from mailweir.schemas.topics import FEEDBACK

if TYPE_CHECKING:
    from mailweir.services.settings import Settings
    from mailweir.services.stream import Outgoing

__all__ = ["person_id", "word_about", "word_record"]


def person_id(option: typer.CallbackParam, said: str | None) -> str | None:
    """An option's id of a person, before anything is read or sent.

    Raises:
        InputError: no event can carry it.
    """
    if said is None:
        return None
    try:
        return TypeAdapter(PersonId).validate_python(said)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InputError(f"--{option.name} has a value that cannot be: {reason}") from error


def word_about(
    decision: Decision,
    person: str,
    heads: Sequence[str],
    next_actions: tuple[str, ...] | None,
    origin: Origin = "human",
    at: datetime | None = None,
) -> Feedback:
    """A feedback that carries the decision's lineage; `heads` are HEAD=LABEL, or HEAD alone for one that is right; `at` is by default now.

    Raises:
        InputError: the decision names no place of its mail, or a head of which nothing is said has no label.
        UnknownLabel: the decision's taxonomy has no such head or label.
    """
    if decision.source is None:
        raise InputError("the decision does not say where its mail lies: it was not made from Kafka")
    return Feedback(
        decision_id=decision.decision_id,
        email_id=decision.email_id,
        source=decision.source,
        model=decision.model,
        taxonomy=decision.taxonomy,
        heads=dict(_correction(decision, said) for said in heads),
        next_actions=next_actions,
        person=person,
        origin=origin,
        given_at=at or utc_now(),
    )


def _correction(decision: Decision, said: str) -> tuple[str, Correction]:
    name, _, label = said.partition("=")
    made = decision.heads.get(name)
    if not label and made is None:
        raise InputError(f"{said}: the decision has no such head; it has {', '.join(decision.heads)}")
    chosen = label or (made.label if made else "")
    return name, Correction(label=chosen, confirmed=made is not None and chosen == made.label)


def word_record(settings: Settings, word: Feedback, source: str) -> Outgoing:
    """The record of a word; `source` is who wrote it, as CloudEvents names it."""
    from mailweir.services.stream import Outgoing

    headers = event_headers(word, source, child_traceparent(trace_id(word.email_id), source, word.event_id))
    return Outgoing(settings.topic_name(FEEDBACK.name), word.email_id.encode(), word.encode(), headers)
