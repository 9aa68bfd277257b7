"""The mistakes that the bundle was surest of: where the labels or the model deserve a look first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mailweir.models.evaluation.answers import Answer
from mailweir.models.runtime import Bundle
from mailweir.schemas.events import Reason

__all__ = ["WorstError", "worst_errors"]

PER_HEAD = 8


@dataclass(frozen=True, slots=True)
class WorstError:
    """A confident wrong answer; of the mail only what it takes to find it."""

    head: str
    id: str
    source: str
    language: str
    right: str
    given: str
    probability: float
    abstained: bool  # below the bundle's threshold: a person would have looked
    reasons: tuple[Reason, ...]
    first_words: str


def worst_errors(bundle: Bundle, answers: Sequence[Answer], per_head: int = PER_HEAD) -> list[WorstError]:
    """Per head of one label, the wrong answers of the highest probability, the surest first."""
    heads = [name for name, spec in bundle.manifest.heads.items() if spec.kind == "one"]
    return [error for name in heads for error in _of_head(bundle, name, answers, per_head)]


def _of_head(bundle: Bundle, name: str, answers: Sequence[Answer], most: int) -> Iterator[WorstError]:
    spec = bundle.manifest.heads[name]
    wrong = []
    for answer in answers:
        right, table = answer.example.labels.get(name), answer.scores.heads[name]
        given, probability = spec.labels[int(table.argmax())], float(table.max())
        if isinstance(right, str) and right != given:
            wrong.append((probability, answer, right, given))
    wrong.sort(key=lambda found: (-found[0], found[1].example.id))
    for probability, answer, right, given in wrong[:most]:
        example = answer.example
        (scores,) = bundle.classify([example.model_input()], reasons=True)
        yield WorstError(
            name, example.id, example.source, example.language, right, given, round(probability, 4),
            probability < spec.threshold, scores.reasons[name], example.first_words,
        )  # fmt: skip
