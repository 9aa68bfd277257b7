"""`Feedback`: what a person, a rule or later behaviour says about a decision."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from mailweir.schemas.events.base import Event, Part, Sha256, UtcTime
from mailweir.schemas.events.decision import EntityField, ModelRef, TaxonomyRef
from mailweir.schemas.events.mail import Coordinates
from mailweir.schemas.ids import digest
from mailweir.schemas.taxonomy import installed_taxonomy

__all__ = ["Correction", "EntityMark", "Feedback", "Origin", "PersonId"]

Origin = Literal["human", "rule", "implicit"]

_LONGEST_ID = 256
# controls, and what shows nothing: two ids that look the same must not be two people
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")


def _plain_id(value: str) -> str:
    if value != value.strip() or _UNSEEN.search(value):
        raise ValueError("an id of a person has no control or invisible characters, and no space around it")
    return value


PersonId = Annotated[str, Field(min_length=1, max_length=_LONGEST_ID), AfterValidator(_plain_id)]
"""Opaque id of a person: 1 to 256 characters that can be seen, none of them a space at an end."""


class Correction(Part):
    """What one head should have said; `label` equal to the decision's label means "right as it is"."""

    label: str = Field(description="The right label.")
    confirmed: bool = Field(default=False, description="True if the decision's own label is called right.")


class EntityMark(Part):
    """An entity that was missed or wrongly found."""

    type: str = Field(description="Entity type of the taxonomy.")
    text: str = Field(description="As written in the mail.")
    field: EntityField = Field(description="subject or body.")
    start: int = Field(ge=0)
    end: int = Field(ge=0)


class Feedback(Event):
    """One person's word about one decision; the last word per person and decision counts."""

    ce_type: ClassVar[str] = "mailweir.feedback"

    decision_id: Sha256 = Field(description="Copied from the decision.")
    email_id: Sha256 = Field(description="Copied from the decision.")
    source: Coordinates = Field(
        description="Copied from the decision: where the mail lies. Of a mere withdrawal, which needs no mail, where the word "
        "lies that it takes back."
    )
    decision_source: Coordinates | None = Field(
        default=None,
        description="Where the decision was read; null: it is looked for by the email id, which costs time.",
    )
    model: ModelRef = Field(description="Copied from the decision.")
    taxonomy: TaxonomyRef = Field(description="Copied from the decision.")
    heads: dict[str, Correction] = Field(default_factory=dict, description="Per head, the right label.")
    next_actions: tuple[str, ...] | None = Field(
        default=None, description="The right list; null: nothing said about it."
    )
    entities_added: tuple[EntityMark, ...] = Field(default=(), description="Entities that were missed.")
    entities_removed: tuple[EntityMark, ...] = Field(default=(), description="Entities that are none.")
    person: PersonId = Field(description="Opaque id of who says it.")
    origin: Origin = Field(description="human, rule or implicit.")
    given_at: UtcTime = Field(description="When.")
    note: str = Field(default="", description="Free text; never logged.")
    withdraws: Sha256 | None = Field(default=None, description="Id of an earlier feedback that this one takes back.")
    given_by: PersonId | None = Field(
        default=None,
        description="Opaque id of who gave this withdrawal in the person's name; null: the person. Nobody says more than "
        "that for another.",
    )

    @property
    def event_id(self) -> str:
        """Id of this word: decision, person, time and what is withdrawn."""
        return digest("feedback", self.decision_id, self.person, self.given_at.isoformat(), self.withdraws or "")

    @property
    def says_nothing(self) -> bool:
        """True if it corrects and confirms nothing: it can only withdraw."""
        return not (self.heads or self.next_actions is not None or self.entities_added or self.entities_removed)

    @model_validator(mode="after")
    def _only_withdrawn_for_another(self) -> Self:
        """Refuse a word put into somebody's mouth: in a person's name one can take back, and no more."""
        if self.given_by is not None and not (self.withdraws and self.says_nothing):
            raise ValueError("given_by is for withdrawals that say nothing else")
        return self

    @model_validator(mode="after")
    def _labels_exist(self) -> Self:
        """Refuse labels that the named taxonomy does not define."""
        taxonomy = installed_taxonomy(self.taxonomy.name, self.taxonomy.version)
        for name, correction in self.heads.items():
            taxonomy.check_label(name, correction.label)
        for action in self.next_actions or ():
            taxonomy.check_label("next_actions", action)
        for mark in (*self.entities_added, *self.entities_removed):
            taxonomy.check_entity(mark.type)
        return self
