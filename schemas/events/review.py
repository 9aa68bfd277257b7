"""`ReviewAsked`: a decision that a person is asked about."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from mailweir.schemas.events.base import Event, Probability, Sha256, UtcTime
from mailweir.schemas.events.decision import ModelRef, TaxonomyRef
from mailweir.schemas.events.mail import Coordinates
from mailweir.schemas.taxonomy import installed_taxonomy

__all__ = ["ReviewAsked", "ReviewWhy"]

ReviewWhy = Literal["uncertain", "diverse", "random"]
"""Why it was chosen: the model is unsure; it is unsure and the labels are seldom asked about; or by lot, whatever it says."""


class ReviewAsked(Event):
    """A decision that a person should look at; their answer is `Feedback`."""

    ce_type: ClassVar[str] = "mailweir.review_asked"

    decision_id: Sha256 = Field(description="The decision; asked about once.")
    email_id: Sha256 = Field(description="Its mail.")
    source: Coordinates = Field(description="Where the parsed mail lies.")
    decision_source: Coordinates = Field(description="Where the decision lies.")
    model: ModelRef = Field(description="The bundle that decided.")
    taxonomy: TaxonomyRef = Field(description="The label space of the labels.")
    labels: dict[str, str] = Field(description="Per head, the label that was decided.")
    language: str = Field(description="Of the mail: en, tr, de, fr, es or other.")
    why: ReviewWhy = Field(description="uncertain, diverse or random.")
    score: Probability = Field(
        description="How unsure the decision is: 1 less the margin of label over runner-up, mean of the heads."
    )
    chance: Probability | None = Field(
        default=None,
        description="With which it was drawn, if random: its inverse weighs it in an estimate over all mail; else null.",
    )
    sketch: tuple[int, ...] = Field(
        default=(), description="Smallest hashes of the mail's word triples: like ones are not asked about again."
    )
    asked_at: UtcTime = Field(description="When; its UTC day is the one whose budget pays.")

    @property
    def event_id(self) -> str:
        """The decision id and what happened to it."""
        return f"{self.decision_id}:asked"

    @model_validator(mode="after")
    def _labels_exist(self) -> Self:
        """Refuse labels that the named taxonomy does not define."""
        taxonomy = installed_taxonomy(self.taxonomy.name, self.taxonomy.version)
        for name, label in self.labels.items():
            taxonomy.check_label(name, label)
        return self
