"""Entities: fixed shapes, each with the precision that was measured for its rule, and what the model tagged."""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import NamedTuple

from mailweir.models.text.codes import CODE_TYPES, find_codes
from mailweir.models.text.finds import Find
from mailweir.models.text.shapes import SHAPE_TYPES, find_shapes
from mailweir.models.text.spans import Span
from mailweir.schemas.events import Entity, EntityField

RULED_TYPES = CODE_TYPES | SHAPE_TYPES
"""Entity types that have a shape or a cue word; the others only a model can find."""

# Characters of a field that are searched: 10 ms where it is prose, 0.2 s where every word is made to look like a code.
_SEARCHED = 50_000
# Entities of one mail: more are a table that nobody reads mail by mail, and would not fit into the decision's topic.
_MOST = 500


class Claim(NamedTuple):
    """A range of a field that is said to be an entity."""

    type: str
    start: int
    end: int
    probability: float


def find_entities(
    subject: str, body: str, precision: Mapping[str, float], tagged: Iterable[tuple[EntityField, Span]] = ()
) -> tuple[Entity, ...]:
    """Entities in order of appearance, subject first, each distinct text of a type once.

    `precision` says how often each rule was right and becomes the probability; a rule that is not in it is off. `tagged` is
    what the model found: where both claim the same place, the more probable claim stays. A code that is claimed in several places numbers
    one thing: its most probable type stays.
    """
    spans = list(tagged)
    fields: tuple[tuple[EntityField, str], ...] = (("subject", subject), ("body", body))
    seen: set[tuple[str, str]] = set()
    found: list[Entity] = []
    for field, text in fields:
        said = [Claim(s.type, s.start, s.end, round(s.probability, 4)) for place, s in spans if place == field]
        ruled = [Claim(f.type, f.start, f.end, precision[f.rule]) for f in find_all(text) if f.rule in precision]
        for claim in _settle([*said, *ruled], len(text)):
            written = text[claim.start : claim.end]
            if (claim.type, written) not in seen:
                seen.add((claim.type, written))
                kind, start, end, probability = claim
                found.append(
                    Entity(type=kind, text=written, field=field, start=start, end=end, probability=probability)
                )
    return tuple(_of_one_type(found)[:_MOST])


def _of_one_type(found: list[Entity]) -> list[Entity]:
    """Of codes with the same text the most probable; annotators gave none of 5,345 distinct codes two types."""
    best: dict[str, Entity] = {}
    for entity in found:
        if entity.type in CODE_TYPES and (
            entity.text not in best or entity.probability > best[entity.text].probability
        ):
            best[entity.text] = entity
    return [entity for entity in found if entity.type not in CODE_TYPES or best[entity.text] is entity]


def find_all(text: str) -> Iterable[Find]:
    """Everything that any rule claims in `text`; claims may overlap."""
    searched = text[:_SEARCHED]
    return chain(find_codes(searched), find_shapes(searched))


def _settle(claims: Iterable[Claim], length: int) -> list[Claim]:
    """Of overlapping claims the more probable one stays."""
    kept: list[Claim] = []
    taken = bytearray(length)
    for claim in sorted(claims, key=lambda claim: (-claim.probability, claim.start, -claim.end)):
        if not any(taken[claim.start : claim.end]):
            taken[claim.start : claim.end] = b"\x01" * (claim.end - claim.start)
            kept.append(claim)
    return sorted(kept, key=lambda claim: claim.start)
