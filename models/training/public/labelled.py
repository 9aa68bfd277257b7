"""Our annotations of public mail: ids and labels in the project, the mails where the user keeps them."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from mailweir.models.training.corpus import FOLDER
from mailweir.models.training.public.collection import Allowed, CollectionRow, PublicRow, is_there, read_collection
from mailweir.schemas.errors import InputError, UnknownLabel
from mailweir.schemas.taxonomy import Taxonomy, installed_taxonomy

LABELS = FOLDER / "public" / "labels.jsonl"
"""Not in a wheel: the corpus is read from the repository only."""

MOST = 150
"""Rows of one source that may answer a head with the same label: tickets are nearly all support requests, and more of them
would teach what a ticket system's text looks like. Rows beyond it keep their other answers."""


class Annotation(BaseModel):
    """Labels of one mail of a collection; a label is null where the annotator could not decide."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    id: str
    labels: dict[str, str | tuple[str, ...] | None]


@dataclass(slots=True)
class Joined:
    """Annotations with their mails, and what became of the others."""

    rows: list[PublicRow] = field(default_factory=list)
    unknown: Counter[str] = field(
        default_factory=Counter
    )  # per source, annotated ids that the collection does not hold
    held_out: int = 0  # mails to people whose mail measures
    _answered: Counter[tuple[str, str, object]] = field(default_factory=Counter)  # rows per source, head and answer

    def add(self, one: Annotation, mail: CollectionRow) -> None:
        """The mail with those answers that its source has not given too often."""
        allowed = {}
        for head, labels in answers(one).items():
            key = one.source, head, labels
            self._answered[key] += 1
            if self._answered[key] <= MOST:
                allowed[head] = labels
        self.rows.append(mail.public(f"{one.source} labelled", allowed))


def read_annotations(file: Path = LABELS) -> list[Annotation]:
    """All annotations of `file`; none where the installation has none.

    Raises:
        InputError: a line is no annotation or has a label that the taxonomy lacks; the message names file and line.
    """
    if not file.is_file():
        return []
    taxonomy = installed_taxonomy("email", 1)
    return [_annotation(line, f"{file.name}:{n}", taxonomy) for n, line in enumerate(file.read_bytes().splitlines(), 1)]


def join(folder: Path, annotations: Sequence[Annotation], held_out: Collection[str]) -> Joined:
    """The annotated mails of the collections that lie in `folder`, but for mail to the users `held_out`.

    A collection that is not there is passed over.
    """
    found = Joined()
    for source in sorted({one.source for one in annotations}):
        if is_there(folder, source):
            mails = {row.id: row for row in read_collection(folder, source)}
            _join_source([one for one in annotations if one.source == source], mails, held_out, found)
    return found


def answers(one: Annotation) -> Allowed:
    """Its labels per head, without the heads that the annotator could not decide."""
    return {head: (v,) if isinstance(v, str) else v for head, v in one.labels.items() if v is not None}


def _join_source(
    wanted: Sequence[Annotation], mails: Mapping[str, CollectionRow], held_out: Collection[str], found: Joined
) -> None:
    for one in wanted:
        mail = mails.get(one.id)
        if mail is None:
            found.unknown[one.source] += 1
        elif mail.user in held_out:
            found.held_out += 1
        else:
            found.add(one, mail)


def _annotation(line: bytes, place: str, taxonomy: Taxonomy) -> Annotation:
    try:
        one = Annotation.model_validate_json(line)
        for head, labels in answers(one).items():
            for label in labels:
                taxonomy.check_label(head, label)
    except (ValidationError, UnknownLabel) as error:
        raise InputError(f"{place}: {error}; correct the line or drop it", file=place) from error
    return one
