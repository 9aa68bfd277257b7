"""`Decision`: the public contract that consumers write against."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from mailweir.schemas.events.base import Event, Part, Probability, Sha256, UtcTime
from mailweir.schemas.events.mail import Coordinates
from mailweir.schemas.taxonomy import installed_taxonomy

__all__ = [
    "PROBABILITY_TOLERANCE",
    "Alternative",
    "Decision",
    "Entity",
    "EntityField",
    "HeadDecision",
    "ModelRef",
    "NextAction",
    "Reason",
    "ReviewCause",
    "TaxonomyRef",
    "Tier",
]

Tier = Literal["rules", "linear", "encoder", "trm"]
"""Which part of the cascade answered."""

ReviewCause = Literal["abstained", "empty", "language", "out_of_scope"]
"""Why a person should look: a head abstained, there is no text (or only the name of a picture or a file), the language is not one
the model knows, or the text is none: source code, encoded data."""

EntityField = Literal["subject", "body"]


PROBABILITY_TOLERANCE = 1.01e-4
"""Probabilities are written with four digits; what differs by one in the last is the same answer."""


class ModelRef(Part):
    """A bundle."""

    name: str = Field(description="Name of the model: email or task.")
    version: str = Field(description="Version of the bundle.")


class TaxonomyRef(Part):
    """A label space."""

    name: str = Field(description="Name of the taxonomy.")
    version: int = Field(ge=1, description="Its version.")


class Alternative(Part):
    """A runner-up."""

    label: str
    probability: Probability


class HeadDecision(Part):
    """What one head says."""

    label: str = Field(description="The most probable label.")
    probability: Probability = Field(description="Calibrated probability of the label.")
    abstained: bool = Field(description="True if the probability is below the head's threshold: a person should look.")
    alternatives: tuple[Alternative, ...] = Field(default=(), description="Runners-up, most probable first.")


class NextAction(Part):
    """One thing that the business should do next."""

    label: str
    probability: Probability


class Entity(Part):
    """A code, amount or date in the mail."""

    type: str = Field(description="Entity type of the taxonomy.")
    text: str = Field(description="As written.")
    field: EntityField = Field(description="Where: subject or body.")
    start: int = Field(ge=0, description="First character in the field.")
    end: int = Field(ge=0, description="Character after the last.")
    probability: Probability = Field(description="How often such a find is right.")


class Reason(Part):
    """A word that spoke for the label, and how much."""

    text: str
    weight: float


class Decision(Event):
    """What mailweir decided about one mail."""

    ce_type: ClassVar[str] = "mailweir.decision"

    decision_id: Sha256 = Field(
        description="Same mail, model, taxonomy and policy: same id, whether decided at first or as a repair."
    )
    email_id: Sha256 = Field(description="The mail; consumers upsert by it.")
    input_id: str | None = Field(default=None, description="The producer's own id, if it sent one.")
    source: Coordinates | None = Field(default=None, description="Where the parsed mail lies; null outside Kafka.")
    model: ModelRef = Field(description="The bundle that decided.")
    taxonomy: TaxonomyRef = Field(description="The label space of all labels below.")
    tier: Tier = Field(description="Which part of the cascade answered.")
    heads: dict[str, HeadDecision] = Field(description="One entry per head of the taxonomy that the model has.")
    next_actions: tuple[NextAction, ...] = Field(default=(), description="What to do next, most probable first.")
    entities: tuple[Entity, ...] = Field(default=(), description="Codes, amounts, dates, in order of appearance.")
    summary: str | None = Field(default=None, description="Sentences of the mail that sum it up; null if not made.")
    action_items: tuple[str, ...] = Field(default=(), description="Sentences that ask for something.")
    reasons: dict[str, tuple[Reason, ...]] = Field(
        default_factory=dict, description="Per head, the words that spoke for it."
    )
    language: str = Field(description="en, tr, de, fr, es or other.")
    needs_review: bool = Field(description="True if a person should look.")
    review_cause: ReviewCause | None = Field(default=None, description="Why; null if needs_review is false.")
    truncated: bool = Field(default=False, description="True if the model did not see the whole text.")
    decided_at: UtcTime = Field(description="When.")
    timings_ms: dict[str, float] = Field(
        default_factory=dict, description="Milliseconds per stage, a batch's share per mail."
    )
    supersedes: Sha256 | None = Field(
        default=None,
        description="Id of the decision of a demoted model that this one takes the place of; null if it repairs none.",
    )

    @property
    def event_id(self) -> str:
        """The decision id."""
        return self.decision_id

    @model_validator(mode="after")
    def _labels_exist(self) -> Self:
        """Refuse labels that the named taxonomy does not define."""
        taxonomy = installed_taxonomy(self.taxonomy.name, self.taxonomy.version)
        for name, head in self.heads.items():
            taxonomy.check_label(name, head.label)
            for other in head.alternatives:
                taxonomy.check_label(name, other.label)
        for action in self.next_actions:
            taxonomy.check_label("next_actions", action.label)
        for entity in self.entities:
            taxonomy.check_entity(entity.type)
        return self

    def same_answer(self, other: Decision) -> bool:
        """True if `other` is this decision again: all equal but the times, the places, what it supersedes, and the reasons.

        Reasons explain an answer and are no part of it: a worker may be told not to spend time on them. A repair gives the answer
        that the same model would have given at first.
        Probabilities count as equal within `PROBABILITY_TOLERANCE`: the same mail in another batch is the same to that.
        """
        return not self.differences(other)

    def differences(self, other: Decision) -> tuple[str, ...]:
        """Where `other` is not the same answer, as dotted names: `heads.category.label`. Names only: values may be text of a mail."""
        return tuple(_differences(self._answer(), other._answer(), ""))

    def _answer(self) -> dict[str, Any]:
        return self.model_dump(exclude={"source", "decided_at", "timings_ms", "reasons", "supersedes"})


def _differences(one: Any, other: Any, at: str) -> Iterator[str]:
    """Places in which two values differ, floats by more than the tolerance."""
    if isinstance(one, float) and isinstance(other, float):
        same = abs(one - other) <= PROBABILITY_TOLERANCE
    elif isinstance(one, dict) and isinstance(other, dict):
        for name in [*one, *(name for name in other if name not in one)]:
            yield from _differences(one.get(name), other.get(name), f"{at}.{name}" if at else name)
        return
    elif isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
        for number, (a, b) in enumerate(zip(one, other, strict=True)):
            yield from _differences(a, b, f"{at}.{number}")
        return
    else:
        same = bool(one == other)
    if not same:
        yield at
