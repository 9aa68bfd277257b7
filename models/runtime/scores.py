"""`Scores`: what a bundle says about one mail, before any policy."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailweir.models.runtime.calibration import Probabilities
from mailweir.models.runtime.sentences import ScoredSentence
from mailweir.models.text.spans import Span
from mailweir.schemas.events import EntityField, Reason, Tier


@dataclass(frozen=True, slots=True)
class Scores:
    """What the model says about one mail, calibrated; what follows from it is the policy's business."""

    heads: Mapping[str, Probabilities]  # head -> (labels,) in the manifest's order
    tokens: int  # how many the model saw
    truncated: bool  # the text was longer
    empty: bool  # there was no text
    tokenize_ms: float
    model_ms: float  # this mail's share of its sub-batch, and its later windows
    reasons: Mapping[str, tuple[Reason, ...]] = field(
        default_factory=dict
    )  # head -> strongest words; empty if not asked
    tagged: tuple[tuple[EntityField, Span], ...] = ()  # entities that the model found
    density: float = 0.0  # tokens for a character: how little the text is like what the tokenizer was made for
    tier: Tier = "encoder"  # who answered; of `linear` the tokens are the terms that it knows
    cheap_ms: float = 0.0  # what asking the cheap tier took, whoever answered
    sentences: tuple[ScoredSentence, ...] = ()  # of the newest text, in order; empty if the bundle scores none
    sentences_ms: float = 0.0  # splitting and scoring them
    steps: int = 0  # of refinement; 0 where the bundle does none
    runtime_ms: float = 0.0  # of `model_ms`, what was spent inside ONNX Runtime
