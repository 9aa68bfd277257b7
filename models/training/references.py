"""Reference summaries and action items of mails: read, and checked against the mail that they are about."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from mailweir.models.text.newest import Sentence
from mailweir.models.training.corpus import REFERENCES, MailRow
from mailweir.schemas.errors import InputError
from mailweir.schemas.events import Part

_HALF = 0.5  # of a sentence's characters: annotators copy with or without the bullet, and two short lines as one
_QUOTE_MARKS = re.compile(r"(?m)^[> ]+")
_REMEDY = "copy the sentence exactly as it stands in the mail, a line end as a blank"


class Reference(Part):
    """What an annotator made of one mail."""

    id: str
    summary: str = Field(min_length=1, description="In the annotator's own words.")
    summary_sentences: tuple[str, ...] = Field(min_length=1, max_length=3, description="Copied from the mail.")
    action_items: tuple[str, ...] = Field(description="Copied from the mail; empty: it asks for nothing.")


def load_references(folder: Path, mails: Sequence[MailRow]) -> dict[str, Reference]:
    """References by mail id, from the file beside the mails in `folder`; empty where there is none.

    Raises:
        InputError: a row is no reference, repeats an id, is about no mail, or quotes what is not in the mail.
    """
    file, found = folder / REFERENCES, dict[str, Reference]()
    known = {mail.id: (mail.subject, mail.body) for mail in mails}
    for line, raw in _lines(file):
        reference, problems = read_reference(raw, known)
        if reference and reference.id in found:
            problems.append("this id has more than one reference summary: keep one")
        if reference is None or problems:
            about = f" {reference.id}:" if reference else ""
            raise InputError(f"{file.name}:{line}:{about} {problems[0]}", file=file.name, line=line)
        found[reference.id] = reference
    return found


def read_reference(raw: bytes, mails: Mapping[str, tuple[str, str]]) -> tuple[Reference | None, list[str]]:
    """One row and what is wrong with it; `mails` are subject and body by id."""
    try:
        reference = Reference.model_validate_json(raw)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"])) or "row"
        return None, [f"not a reference: {place}: {fault['msg']}; it has id, summary, summary_sentences, action_items"]
    if reference.id not in mails:
        return reference, [f"no mail has the id {reference.id}: correct it, or take the reference out"]
    return reference, list(quote_problems(reference, *mails[reference.id]))


def quote_problems(reference: Reference, subject: str, body: str) -> Iterator[str]:
    """Sentences of the reference that are not in the mail, blanks and marks of quotation aside."""
    written = joined(f"{subject}\n{body}")
    plain = joined(f"{subject}\n{_QUOTE_MARKS.sub('', body)}")
    for field in ("summary_sentences", "action_items"):
        for quote in getattr(reference, field):
            if not joined(quote):
                yield f"{field} holds an empty sentence: take it out"
            elif joined(quote) not in written and joined(quote) not in plain:
                yield f"{field}: {quote!r} is not in the mail: {_REMEDY}"


def joined(text: str) -> str:
    """`text` on one line, one blank between words."""
    return " ".join(text.split())


def chosen_sentences(text: str, sentences: Sequence[Sentence], quotes: Sequence[str]) -> NDArray[np.bool_]:
    """(sentences,): which of them the annotator copied, at least half of each; `text` is the one that they stand in."""
    copied = np.zeros(len(text), bool)
    for quote in map(joined, quotes):
        start = text.find(quote)
        while start >= 0:
            copied[start : start + len(quote)] = True
            start = text.find(quote, start + 1)
    return np.array([copied[one.start : one.end].mean() >= _HALF for one in sentences], bool)


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    if file.exists():
        for number, line in enumerate(file.read_bytes().split(b"\n"), 1):
            if line.strip():
                yield number, line
