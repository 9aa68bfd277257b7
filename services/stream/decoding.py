"""From records to events; what cannot be decoded keeps its place as an error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from mailweir.schemas.errors import EmptyRecord, RecordError
from mailweir.schemas.events import Event
from mailweir.services.stream.record import Record

__all__ = ["decode_all"]

E = TypeVar("E", bound=Event)


def decode_all(records: Sequence[Record], kind: type[E]) -> list[E | RecordError]:
    """One event or error per record, in order."""
    return [_decode(record, kind) for record in records]


def _decode(record: Record, kind: type[E]) -> E | RecordError:
    if not record.value:
        return EmptyRecord("the record has no value")
    try:
        return kind.decode(record.value)
    except RecordError as error:
        return error
