"""Annotated rows of a file: read, checked one by one against the taxonomy of the bundle that is to answer them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import parseaddr
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from mailweir.models.evaluation.references import checked_reference, is_reference
from mailweir.models.text.model_input import ModelInput, compose_fields
from mailweir.models.text.zone import split_zones
from mailweir.models.training.corpus import EntityMark, MailRow, TaskRow, first_fault, read_mail
from mailweir.models.training.measure import length_band
from mailweir.models.training.references import Reference
from mailweir.schemas.errors import InputError, UnknownLabel
from mailweir.schemas.manifest import Manifest
from mailweir.schemas.taxonomy import Taxonomy, installed_taxonomy

__all__ = ["Example", "length_band", "read_examples"]

UNKNOWN = "unknown"
"""Slice of the rows that do not say their language or source."""

_REMEDY = "correct the row: null says that a label cannot be decided, an entity's text is copied exactly from the mail"
_FIRST_WORDS = 8


@dataclass(frozen=True, slots=True)
class Example:
    """One annotated row, whatever its taxonomy."""

    id: str
    language: str
    source: str
    subject: str
    sender: str
    mailbox: str
    body: str
    labels: Mapping[str, str | tuple[str, ...] | None]  # None: not decided, not scored
    entities: tuple[EntityMark, ...] | None  # None: not annotated, not scored
    reference: Reference | None = None  # None: no summary was written

    def model_input(self) -> ModelInput:
        """The row as serving would see it."""
        zones = split_zones(self.body)
        return compose_fields(self.subject, parseaddr(self.sender)[1], self.mailbox, self.body, zones)

    @property
    def first_words(self) -> str:
        """Enough to recognise the row by."""
        return " ".join(f"{self.subject} {self.body}".split()[:_FIRST_WORDS])

    @property
    def length(self) -> str:
        """The band that its length falls into."""
        return length_band(len(self.subject.split()) + len(self.body.split()))


def read_examples(paths: Sequence[Path], manifest: Manifest) -> list[Example]:
    """All rows of the files, in order; rows that are only a reference go to the mail of their id, if it is there.

    Raises:
        InputError: a file or row cannot be used; the message names file, line and remedy, and how many more there are.
    """
    reader = _reader(manifest)
    found: dict[str, Example] = {}
    broken: list[InputError] = []
    places: dict[str, str] = {}
    references: list[tuple[str, dict[str, Any]]] = []
    for place, raw in _lines(paths):
        try:
            row = _object(raw, place)
            if is_reference(row):
                references.append((place, row))
                continue
            example = reader.read(row, place)
            if example.id in places:
                raise _problem(place, f"id {example.id} is also that of {places[example.id]}: give every row its own")
        except InputError as error:
            broken.append(error)
        else:
            places[example.id] = place
            found[example.id] = example
    broken += _attach(found, references)
    if broken:
        more = f" (and {len(broken) - 1} more rows are broken)" if len(broken) > 1 else ""
        raise InputError(broken[0].message + more, **broken[0].detail)
    if not any(value is not None for example in found.values() for value in example.labels.values()):
        raise InputError(f"{paths[0]}: no row has a label, so that there is nothing to compare with: annotate some")
    return list(found.values())


def _attach(found: dict[str, Example], references: Sequence[tuple[str, dict[str, Any]]]) -> Iterator[InputError]:
    """Give references to the examples of their ids; what is wrong with them. Those of other mails are passed over."""
    for place, row in references:
        example = found.get(_text(row.get("id")))
        try:
            if example and example.reference:
                raise _problem(place, f"id {example.id} has more than one reference summary: keep one")
            if example:
                reference = checked_reference(row, example.id, place, (example.subject, example.body))
                found[example.id] = replace(example, reference=reference)
        except InputError as error:
            yield error


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns one JSON row into an example, for one bundle."""

    manifest: Manifest
    taxonomy: Taxonomy

    def read(self, row: dict[str, Any], place: str) -> Example:
        is_task = "title" in row and "body" not in row
        if is_task != (self.taxonomy.name == "task"):
            kind, wanted = ("task", "task") if is_task else ("mail", "email")
            name = f"{self.manifest.model.name} {self.manifest.model.version}"
            message = (
                f"this is a {kind} row, but bundle {name} answers taxonomy {self.taxonomy.name}: "
                f"name one of taxonomy {wanted} with --bundle"
            )
            raise _problem(place, message)
        example = self._task(row, place) if is_task else self._mail(row, place)
        self._check_answerable(example, place)
        return example

    def _mail(self, row: dict[str, Any], place: str) -> Example:
        source = _text(row.get("source")) or _text(row.get("author")) or UNKNOWN
        annotated = row.get("entities") is not None
        mail, problems = read_mail(orjson.dumps(self._completed(row, place)))
        if mail is None or problems:
            raise _problem(place, f"{problems[0]}; {_REMEDY}")
        labels = {head: mail.labels.get(head) for head in self.manifest.heads}
        return Example(
            mail.id, mail.language, source, mail.subject, mail.sender, mail.mailbox, mail.body, labels,
            mail.entities if annotated else None, checked_reference(row, mail.id, place, (mail.subject, mail.body)),
        )  # fmt: skip

    def _completed(self, row: dict[str, Any], place: str) -> dict[str, Any]:
        """The row with what it may leave out, without what nobody asks about."""
        fields = {field.alias or name for name, field in MailRow.model_fields.items()}
        optional = {"id": place, "author": "", "language": UNKNOWN, "from": "", "to": [], "date": "", "mailbox": ""}
        optional |= {"entities": []}
        given = {name: value for name, value in row.items() if name in fields and value is not None}
        labels = given.get("labels")
        if isinstance(labels, dict):
            if unknown := labels.keys() - self.taxonomy.heads.keys():
                known = ", ".join(self.taxonomy.heads)
                raise _problem(place, f"unknown head {min(unknown)}; there are {known}; {_REMEDY}")
            given["labels"] = dict.fromkeys(self.taxonomy.heads) | labels
        return optional | given

    def _task(self, row: dict[str, Any], place: str) -> Example:
        source = _text(row.get("source")) or _text(row.get("author")) or UNKNOWN
        given = {name: row[name] for name in TaskRow.model_fields if row.get(name) is not None}
        label = row.get("label")
        optional = {"id": place, "author": "", "language": UNKNOWN, "label": ""}
        try:
            task = TaskRow.model_validate_json(orjson.dumps(optional | given))
            if label is not None:
                self.taxonomy.check_label("category", task.label)
        except ValidationError as error:
            raise _problem(place, f"not a task row: {first_fault(error)}; {_REMEDY}") from error
        except UnknownLabel as error:
            raise _problem(place, f"{error.message}; {_REMEDY}") from error
        labels = {"category": task.label if label is not None else None}
        return Example(task.id, task.language, source, task.title, "", "", task.description, labels, None)

    def _check_answerable(self, example: Example, place: str) -> None:
        """A label that the bundle was not trained on could only be answered wrongly."""
        for head, value in example.labels.items():
            given = () if value is None else (value,) if isinstance(value, str) else value
            if missing := set(given) - set(self.manifest.heads[head].labels):
                message = (
                    f"head {head} of this bundle has no label {min(missing)}: train one that has, or set it to null"
                )
                raise _problem(place, message)


def _reader(manifest: Manifest) -> _Reader:
    taxonomy = installed_taxonomy(manifest.taxonomy.name, manifest.taxonomy.version)
    if taxonomy.name not in {"email", "task"}:
        message = (
            f"the bundle answers taxonomy {taxonomy.name}; rows can be read for email and task: name another --bundle"
        )
        raise InputError(message)
    return _Reader(manifest, taxonomy)


def _lines(paths: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    for path in paths:
        try:
            lines = path.read_bytes().splitlines()
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}: name a file of annotated rows", path=str(path)) from error
        if not any(line.strip() for line in lines):
            message = (
                f"{path}:1: there are no rows: it has to hold one JSON object a line, as the annotation guide says"
            )
            raise InputError(message, path=str(path))
        yield from ((f"{path}:{number}", line) for number, line in enumerate(lines, 1) if line.strip())


def _object(raw: bytes, place: str) -> dict[str, Any]:
    try:
        row = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _problem(place, f"not JSON ({error}): every line is one JSON object") from error
    if not isinstance(row, dict):
        raise _problem(place, f"not a JSON object but {type(row).__name__}: every line is one annotated row")
    return row


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _problem(place: str, message: str) -> InputError:
    return InputError(f"{place}: {message}", place=place)
