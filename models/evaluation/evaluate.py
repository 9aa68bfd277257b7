"""`evaluate`: every figure of a bundle on annotated rows. The same rows and bundle give the same figures, times aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from pydantic import BaseModel

from mailweir.models.evaluation.answers import Answer, answer
from mailweir.models.evaluation.entities import entity_tallies
from mailweir.models.evaluation.heads import HeadFigures, Sliced, measure_head, measure_slices
from mailweir.models.evaluation.robustness import Way, robustness
from mailweir.models.evaluation.rows import Example
from mailweir.models.evaluation.summaries import SummaryFigures, measure_summaries
from mailweir.models.evaluation.tally import RESAMPLES, SEED
from mailweir.models.evaluation.worst import WorstError, worst_errors
from mailweir.models.runtime import Bundle
from mailweir.schemas.events import ModelRef, TaxonomyRef
from mailweir.schemas.manifest import CheapSpec
from mailweir.schemas.taxonomy import installed_taxonomy

__all__ = ["EntityFigures", "Evaluation", "Latency", "Times", "evaluate"]


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds."""

    median: float
    p90: float


@dataclass(frozen=True, slots=True)
class Latency:
    """What one mail costs, alone, on this machine as busy as it was."""

    total: Times
    steps: Mapping[str, Times]
    median_tokens: int
    cut: int  # rows longer than the model reads


@dataclass(frozen=True, slots=True)
class EntityFigures:
    """Entities of the rows that have them annotated; here accuracy is the share of rows without any mistake."""

    exact: Sliced
    partial: Sliced


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that was measured."""

    schema: int
    model: ModelRef
    taxonomy: TaxonomyRef
    rows: int
    resamples: int
    seed: int
    heads: Mapping[str, HeadFigures]  # those that at least one row has a label for
    entities: EntityFigures | None  # None: no row has them annotated
    summaries: SummaryFigures | None  # None: no row has a reference, or the bundle makes none
    latency: Latency
    worst: Sequence[WorstError]
    robustness: Mapping[str, Way] | None  # by the way of writing; None: not asked for
    tiers: Mapping[str, int]  # who answered how many rows
    cascade: CheapSpec | None  # what training measured about stopping early; None: every mail goes to the model

    def encode(self) -> bytes:
        """One JSON object; null where nothing could be counted."""
        return orjson.dumps(self, default=_fields)


def evaluate(
    bundle: Bundle,
    examples: Sequence[Example],
    advance: Callable[[Example], None] | None = None,
    *,
    otherwise: bool = False,
) -> Evaluation:
    """Answer all examples and compare; `advance` hears of each that is answered.

    `otherwise` asks again for each example in every way of `models.text.perturb` that changes it.
    """
    manifest = bundle.manifest
    answers = answer(bundle, examples, advance)
    measured = {name: measure_head(name, spec, answers) for name, spec in manifest.heads.items()}
    return Evaluation(
        schema=1,
        model=manifest.model,
        taxonomy=manifest.taxonomy,
        rows=len(answers),
        resamples=RESAMPLES,
        seed=SEED,
        heads={name: figures for name, figures in measured.items() if figures},
        entities=_entities(bundle, answers),
        summaries=measure_summaries(manifest, answers),
        latency=_latency(answers),
        worst=worst_errors(bundle, answers),
        robustness=robustness(bundle, answers, advance) if otherwise else None,
        tiers=dict(Counter(answer.scores.tier for answer in answers)),
        cascade=manifest.cheap,
    )


def _entities(bundle: Bundle, answers: Sequence[Answer]) -> EntityFigures | None:
    taxonomy = installed_taxonomy(bundle.manifest.taxonomy.name, bundle.manifest.taxonomy.version)
    annotated = [answer for answer in answers if answer.example.entities is not None]
    if not annotated or not taxonomy.entities:
        return None
    exact, partial = entity_tallies(annotated, tuple(taxonomy.entities))
    return EntityFigures(measure_slices(exact, annotated), measure_slices(partial, annotated))


def _latency(answers: Sequence[Answer]) -> Latency:
    scores = [answer.scores for answer in answers]
    steps = {
        "compose": _times([answer.compose_ms for answer in answers]),
        "tokenize": _times([score.tokenize_ms for score in scores]),
        "model": _times([score.model_ms for score in scores]),
        "entities": _times([answer.entities_ms for answer in answers]),
    }
    if any(score.cheap_ms for score in scores):
        steps["linear"] = _times([score.cheap_ms for score in scores])
    if any(score.sentences for score in scores):
        steps["sentences"] = _times([score.sentences_ms for score in scores])
    total = _times([answer.total_ms for answer in answers])
    tokens = int(np.median([score.tokens for score in scores]))
    return Latency(total, steps, tokens, sum(score.truncated for score in scores))


def _times(milliseconds: Sequence[float]) -> Times:
    median, p90 = np.percentile(milliseconds, [50, 90])
    return Times(round(float(median), 2), round(float(p90), 2))


def _fields(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} is no JSON")
