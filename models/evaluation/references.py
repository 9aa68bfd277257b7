"""Reference summaries in annotated rows: beside the labels of a mail, or in a file of their own that names mails by id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import ValidationError

from mailweir.models.training.references import Reference, quote_problems
from mailweir.schemas.errors import InputError

__all__ = ["checked_reference", "is_reference"]

_FIELDS = ("summary", "summary_sentences", "action_items")


def is_reference(row: Mapping[str, Any]) -> bool:
    """Whether the row is a reference without its mail."""
    return "summary_sentences" in row and not row.keys() & {"body", "labels"}


def checked_reference(row: Mapping[str, Any], row_id: str, place: str, mail: tuple[str, str]) -> Reference | None:
    """The reference in a row about the mail of that subject and body; None where the row has none.

    Raises:
        InputError: one of its fields is missing or wrong, or a sentence is not in the mail.
    """
    given = {name: row[name] for name in _FIELDS if row.get(name) is not None}
    if not given:
        return None
    try:
        reference = Reference.model_validate_json(orjson.dumps({"id": row_id} | given))
    except ValidationError as error:
        fault = error.errors()[0]
        said = f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}; {', '.join(_FIELDS)} belong together"
        raise InputError(f"{place}: {said}", place=place) from error
    for problem in quote_problems(reference, *mail):
        raise InputError(f"{place}: {problem}", place=place)
    return reference
