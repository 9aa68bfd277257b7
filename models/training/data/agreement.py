"""How far two annotations of the same mails agree: Cohen's kappa (Cohen 1960), and F1 for entities."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from mailweir.models.training.corpus import REFERENCES, EntityMark, first_fault
from mailweir.models.training.data.rows import Labels, lines_under
from mailweir.schemas.errors import InputError, UnknownLabel
from mailweir.schemas.taxonomy import Taxonomy, installed_taxonomy


class Annotation(BaseModel):
    """A row as far as it is an annotation: it may lack the mail itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    labels: Labels
    entities: tuple[EntityMark, ...] | None = None  # None: not annotated


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of one head."""

    head: str
    rows: int  # that both decided
    same: float  # share of rows with the same answer
    kappa: float | None  # None where it is undefined: both gave one and the same label only


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A head of a row that the two see differently."""

    id: str
    head: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two annotations side by side."""

    rows: int  # that both annotated
    only_first: int
    only_second: int
    heads: tuple[Agreement, ...]  # kappa of a head with many answers is the mean over its labels
    entities: float | None  # exact F1 of type and text; None where neither marked any
    disagreements: tuple[Disagreement, ...]

    def json(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self)


Pairs = list[tuple[Annotation, Annotation]]


def read_annotations(path: Path) -> dict[str, Annotation]:
    """Annotations by id, from a file or all files of a folder but tasks.

    Raises:
        InputError: nothing is there, a row is no annotation or repeats an id; the message names file and line.
    """
    found: dict[str, Annotation] = {}
    for file, line, raw in lines_under(path, but=REFERENCES):
        if file.stem.endswith("_tasks"):
            continue
        row = _annotation(raw, f"{file}:{line}")
        if row.id in found:
            raise InputError(f"{file}:{line}: id {row.id} occurs twice: keep one annotation of it", id=row.id)
        found[row.id] = row
    return found


def compare(first: dict[str, Annotation], second: dict[str, Annotation]) -> Comparison:
    """Agreement on the rows that both hold; what either could not decide (null) counts for neither.

    Raises:
        InputError: they have no row in common.
    """
    pairs = [(row, second[row_id]) for row_id, row in first.items() if row_id in second]
    if not pairs:
        raise InputError("the two annotations have no id in common: both must be of the same mails")
    taxonomy = installed_taxonomy("email", 1)
    return Comparison(
        rows=len(pairs),
        only_first=len(first) - len(pairs),
        only_second=len(second) - len(pairs),
        heads=tuple(_agreement(head, pairs, taxonomy) for head in taxonomy.heads),
        entities=_entity_f1(pairs),
        disagreements=tuple(_disagreements(pairs, taxonomy)),
    )


def kappa(first: Sequence[object], second: Sequence[object]) -> float | None:
    """Cohen's kappa of two sequences of answers; None where it is undefined."""
    rows = len(first)
    if not rows:
        return None
    same = sum(a == b for a, b in zip(first, second, strict=True)) / rows
    chance = sum(first.count(answer) * second.count(answer) for answer in set(first)) / rows**2
    return None if chance == 1 else (same - chance) / (1 - chance)


def _annotation(raw: bytes, place: str) -> Annotation:
    taxonomy = installed_taxonomy("email", 1)
    try:
        row = Annotation.model_validate_json(raw)
        for head, value in row.labels.items():
            for label in _parts(value):
                taxonomy.check_label(head, label)
    except ValidationError as error:
        raise InputError(f"{place}: not an annotation: {first_fault(error)}", place=place) from error
    except UnknownLabel as error:
        raise InputError(f"{place}: {error.message}", place=place) from error
    return row


def _agreement(head: str, pairs: Pairs, taxonomy: Taxonomy) -> Agreement:
    decided = [(a, b) for one, other in pairs for a, b in [_answers(head, one, other)] if a is not None is not b]
    sets = [(_parts(a), _parts(b)) for a, b in decided]
    same = sum(set(a) == set(b) for a, b in sets) / len(sets) if sets else 0.0
    if taxonomy.heads[head].kind == "one":
        return Agreement(head, len(sets), same, kappa([a for a, _ in sets], [b for _, b in sets]))
    used = [label for label in taxonomy.labels(head) if any(label in a or label in b for a, b in sets)]
    kappas = [kappa([label in a for a, _ in sets], [label in b for _, b in sets]) for label in used]
    known = [value for value in kappas if value is not None]
    return Agreement(head, len(sets), same, sum(known) / len(known) if known else None)


def _entity_f1(pairs: Pairs) -> float | None:
    marks = [(set(a.entities), set(b.entities)) for a, b in pairs if a.entities is not None and b.entities is not None]
    total = sum(len(a) + len(b) for a, b in marks)
    return 2 * sum(len(a & b) for a, b in marks) / total if total else None


def _disagreements(pairs: Pairs, taxonomy: Taxonomy) -> Iterator[Disagreement]:
    for one, other in pairs:
        for head in taxonomy.heads:
            a, b = _answers(head, one, other)
            if a is not None is not b and set(_parts(a)) != set(_parts(b)):
                yield Disagreement(one.id, head, _told(a), _told(b))
        if one.entities is not None and other.entities is not None:
            first, second = set(one.entities), set(other.entities)
            for mark in sorted(first ^ second, key=lambda mark: (mark.type, mark.text)):
                told = f"{mark.type} {mark.text}"
                yield Disagreement(one.id, "entities", told if mark in first else "", told if mark in second else "")


def _answers(head: str, one: Annotation, other: Annotation) -> tuple[Any, Any]:
    return one.labels.get(head), other.labels.get(head)


def _parts(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value or ()


def _told(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ", ".join(value) or "(nothing)"
