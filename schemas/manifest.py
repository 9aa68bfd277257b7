"""`Manifest`: the recipe and the identity of a model bundle, `manifest.json` in its folder."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from mailweir.schemas.events import ModelRef, Part, Probability, Sha256, TaxonomyRef, UtcTime

__all__ = [
    "BundleFile",
    "CheapSpec",
    "CurvePoint",
    "HeadSpec",
    "InputSpec",
    "Manifest",
    "RefineSpec",
    "ScopeSpec",
    "SentenceHead",
    "SentenceSpec",
    "TagSpec",
]


class BundleFile(Part):
    """A file of the bundle, as it was when the bundle was made."""

    sha256: Sha256
    size: int = Field(ge=0, description="Bytes.")


class InputSpec(Part):
    """How a mail becomes tokens."""

    max_tokens: int = Field(ge=8, description="Longest input, special tokens included.")
    pad_id: int = Field(ge=0)
    unknown_id: int = Field(ge=0)


class HeadSpec(Part):
    """One head: its labels in output order, its calibration and its threshold."""

    kind: Literal["one", "many"] = "one"
    labels: tuple[str, ...]
    temperature: float = Field(gt=0, description="Logits are divided by it before softmax or sigmoid.")
    threshold: Probability = Field(description="Below it the head abstains (one) or the label is left out (many).")
    thresholds: dict[str, Probability] = Field(
        default_factory=dict, description="Labels of a head of many whose threshold is another."
    )
    target: Probability | None = Field(
        default=None,
        description="Share of right answers at or above the threshold that it was chosen for; null: best F1.",
    )

    @property
    def limits(self) -> tuple[float, ...]:
        """The threshold of each label, in their order."""
        return tuple(self.thresholds.get(label, self.threshold) for label in self.labels)


class TagSpec(Part):
    """The tagger: which tag each of its outputs is, and its calibration."""

    names: tuple[str, ...] = Field(description="`O`, then `B-` and `I-` of each entity type.")
    temperature: float = Field(gt=0, description="Logits are divided by it before softmax.")
    thresholds: dict[str, Probability] = Field(
        default_factory=dict, description="Per entity type, the probability below which a find is left out."
    )


class ScopeSpec(Part):
    """What the model can be asked at all."""

    density: float = Field(gt=0, description="Tokens for a character above which a text is none: code, encoded data.")
    false_alarms: Probability = Field(description="Share of the mails it was chosen on that lie above it.")


class CurvePoint(Part):
    """What stopping at one threshold costs and saves, on mail that neither tier was fitted on."""

    threshold: Probability
    stopped: Probability = Field(description="Share of mails that stop at the cheap tier.")
    milliseconds: float = Field(ge=0, description="Of both tiers, mean of all mails, alone, on the training machine.")
    mean_f1: Probability = Field(
        description="Mean over the questions: macro-F1 of a head of one, micro-F1 of a head of many and of entities."
    )
    cost: float = Field(description="Largest loss of F1 against the model alone, over every question and slice.")
    at: str = Field(description="Question and slice of that loss.")


class CheapSpec(Part):
    """The cheap tier: a linear model over words, `linear.npz`, asked before the encoder."""

    temperatures: dict[str, float] = Field(
        description="Per head, and `quiet` where there is a tagger, what logits are divided by."
    )
    threshold: Probability | None = Field(
        description="A mail stops where each head is at least so sure, and as sure that the tagger would add nothing; null: none."
    )
    entity_precision: dict[str, Probability] = Field(
        default_factory=dict, description="As the manifest's, of rules that have no tagger beside them."
    )
    cost_limit: float = Field(gt=0, description="The threshold is the lowest whose cost stays below this.")
    curve: tuple[CurvePoint, ...] = Field(default=(), description="From the strictest threshold to the loosest.")


class SentenceHead(Part):
    """One of the two scores of a sentence: its calibration and its threshold."""

    temperature: float = Field(gt=0, description="Logits are divided by it before the sigmoid.")
    threshold: Probability = Field(description="A sentence at or above it is chosen.")
    never: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Head, and its labels in whose mail no sentence is chosen."
    )
    length_weight: float = Field(default=0.0, description="Logit for each natural logarithm of the number of words.")


class SentenceSpec(Part):
    """How sentences are chosen from the output `sentences`, whose columns are summary and action item."""

    summary: SentenceHead
    action_items: SentenceHead
    most: int = Field(
        default=2, ge=1, description="Sentences of a summary: the best one always, others above the threshold."
    )


class RefineSpec(Part):
    """Refinement by the tiny recursive model: which graph is one step, and when a mail has had enough of them."""

    file: str = Field(description="Graph of one step.")
    steps: int = Field(ge=1, description="Most steps of a mail.")
    halt_at: Probability = Field(description="A mail halts where its halting probability is at or above it.")
    heads: tuple[str, ...] = Field(
        description="Heads to whose logits the steps add; none: the graph is there, and off by default."
    )


class Manifest(Part):
    """Everything needed to load a bundle, trust it and make it again."""

    schema_version: int = Field(default=1, alias="schema", ge=1)
    model: ModelRef = Field(description="Name and version of the bundle.")
    taxonomy: TaxonomyRef
    policy_version: int = Field(
        default=1, ge=1, description="Version of the decision rules that its thresholds were chosen under."
    )
    tier: Literal["linear", "encoder", "trm"] = "encoder"
    files: dict[str, BundleFile] = Field(description="Every file of the folder but this one.")
    input: InputSpec
    heads: dict[str, HeadSpec]
    entity_precision: dict[str, Probability] = Field(
        default_factory=dict, description="Per entity rule, how often a find was right; other rules are off."
    )
    tags: TagSpec | None = Field(default=None, description="Entities by the model; null: by rules alone.")
    scope: ScopeSpec | None = Field(default=None, description="What is no mail; null: every text is taken for one.")
    cheap: CheapSpec | None = Field(default=None, description="Null: every mail goes to the model.")
    sentences: SentenceSpec | None = Field(
        default=None, description="Summary and action items; null: the bundle makes none."
    )
    refine: RefineSpec | None = Field(default=None, description="Refinement of the heads; null: the bundle has none.")
    languages: tuple[str, ...] = Field(description="Languages the model was trained and calibrated on.")
    base: str = Field(description="Base model and its licence.")
    quantization: str = Field(description="Form of the weights: fp32, or the int8 form and what it keeps.")
    data: dict[str, Any] = Field(default_factory=dict, description="Sources, splits by author, rows, hashes.")
    recipe: dict[str, Any] = Field(default_factory=dict, description="Command, options, seed and code version.")
    metrics: dict[str, Any] = Field(
        default_factory=dict, description="Figures per head, language and split; parity; invariance."
    )
    created_at: UtcTime
