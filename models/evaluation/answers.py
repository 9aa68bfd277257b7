"""What a bundle answers to examples, each of them alone, as a worker would be asked; and how long that takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter

from mailweir.models.evaluation.rows import Example
from mailweir.models.runtime import Bundle, Scores, entity_precision_of
from mailweir.models.text import find_entities
from mailweir.schemas.events import Entity

__all__ = ["Answer", "answer"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One example and what came back."""

    example: Example
    scores: Scores
    entities: tuple[Entity, ...]
    compose_ms: float  # zones and text
    entities_ms: float
    total_ms: float  # from the fields of the mail to all answers


def answer(
    bundle: Bundle, examples: Iterable[Example], advance: Callable[[Example], None] | None = None
) -> list[Answer]:
    """Ask `bundle` for every example in turn; `advance` hears of each that is done."""
    answers = []
    for example in examples:
        answers.append(_alone(bundle, example))
        if advance:
            advance(example)
    return answers


def _alone(bundle: Bundle, example: Example) -> Answer:
    start = perf_counter()
    given = example.model_input()
    composed = perf_counter()
    (scores,) = bundle.classify([given])
    scored = perf_counter()
    entities = find_entities(example.subject, example.body, entity_precision_of(scores, bundle.manifest), scores.tagged)
    end = perf_counter()
    return Answer(example, scores, entities, (composed - start) * 1000, (end - scored) * 1000, (end - start) * 1000)
