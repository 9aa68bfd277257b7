"""What a bundle loses when the same mail is written otherwise: every way of `models.text.perturb`, per head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mailweir.models.evaluation.answers import Answer, answer
from mailweir.models.evaluation.entities import entity_tallies
from mailweir.models.evaluation.heads import head_tally
from mailweir.models.evaluation.rows import Example
from mailweir.models.evaluation.tally import SEED, Estimate, Tally, change_of_f1, measure
from mailweir.models.runtime import Bundle
from mailweir.models.text.perturb import PERTURBATIONS, perturb
from mailweir.schemas.taxonomy import installed_taxonomy

__all__ = ["Drop", "Way", "robustness"]


@dataclass(frozen=True, slots=True)
class Drop:
    """One question on the rows that the way changed: macro-F1 of a head of one, micro-F1 otherwise."""

    rows: int
    before: float
    after: float
    change: Estimate  # after less before; both forms of a row are drawn together


@dataclass(frozen=True, slots=True)
class Way:
    """One way to write the same mail otherwise."""

    rows: int  # that it changed; the others are left out
    reviewed_before: float  # share of them on which a head abstains
    reviewed_after: float
    heads: Mapping[str, Drop]  # and "entities", where they are annotated and the model answers them


def robustness(
    bundle: Bundle, answers: Sequence[Answer], advance: Callable[[Example], None] | None = None
) -> dict[str, Way]:
    """Every way that changes at least one of the answered rows; `advance` hears of each row that is answered anew."""
    found = {}
    for name in PERTURBATIONS:
        changed = [(before, written) for before in answers if (written := _written(before.example, name))]
        if changed:
            before = [one for one, _ in changed]
            found[name] = _way(bundle, before, answer(bundle, [written for _, written in changed], advance))
    return found


def _written(example: Example, name: str) -> Example | None:
    """The example in that way, None if it stays as it is."""
    marks = [mark.text for mark in example.entities or ()]
    subject, body = perturb(name, example.subject, example.body, marks, f"{SEED} {name} {example.id}")
    same = (subject, body) == (example.subject, example.body)
    return None if same else replace(example, subject=subject, body=body)


def _way(bundle: Bundle, before: Sequence[Answer], after: Sequence[Answer]) -> Way:
    heads = {}
    for name, spec in bundle.manifest.heads.items():
        known = [place for place, one in enumerate(before) if one.example.labels.get(name) is not None]
        if known:
            tallies = (head_tally(name, spec, [part[place] for place in known]) for part in (before, after))
            heads[name] = _drop(*tallies, macro=spec.kind == "one")
    heads |= _entities(bundle, before, after)
    return Way(len(before), _reviewed(bundle, before), _reviewed(bundle, after), heads)


def _entities(bundle: Bundle, before: Sequence[Answer], after: Sequence[Answer]) -> dict[str, Drop]:
    types = tuple(installed_taxonomy(bundle.manifest.taxonomy.name, bundle.manifest.taxonomy.version).entities)
    known = [place for place, one in enumerate(before) if one.example.entities]
    if not types or not known:
        return {}
    exact = (entity_tallies([part[place] for place in known], types)[0] for part in (before, after))
    return {"entities": _drop(*exact, macro=False)}


def _drop(before: Tally, after: Tally, *, macro: bool) -> Drop:
    first, second = ((found.macro if macro else found.micro).f1.value for found in map(measure, (before, after)))
    return Drop(len(before.hits), first, second, change_of_f1(before, after, macro=macro))


def _reviewed(bundle: Bundle, answers: Sequence[Answer]) -> float:
    limits = {name: spec.threshold for name, spec in bundle.manifest.heads.items() if spec.kind == "one"}
    asked = [any(one.scores.heads[n].max() < limit for n, limit in limits.items()) for one in answers]
    return round(sum(asked) / len(asked), 4)
