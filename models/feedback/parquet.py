"""Rows as Parquet. The same rows give the same bytes (of one version of pyarrow): nothing in a file tells when it was written."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from mailweir.models.feedback.rows import FeedbackRow, once
from mailweir.schemas.errors import InputError

__all__ = ["SCHEMA", "offsets", "read_rows", "rows_of", "withdrawals", "write_rows"]

_VERSION = "1"
_JSON = ("decided", "corrected")  # columns that hold JSON
_ADDED = ("given_by",)  # columns that files from before they were added do not have: nothing is said there
_WORDS = pa.dictionary(pa.int32(), pa.string())  # few different values

SCHEMA = pa.schema(
    [
        pa.field("topic", _WORDS, nullable=False),
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("feedback_id", pa.string(), nullable=False),
        pa.field("decision_id", pa.string(), nullable=False),
        pa.field("email_id", pa.string(), nullable=False),
        pa.field("person", pa.string(), nullable=False),
        pa.field("origin", _WORDS, nullable=False),
        pa.field("given_at", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("given_by", _WORDS),
        pa.field("withdraws", pa.string()),
        pa.field("taxonomy_name", _WORDS, nullable=False),
        pa.field("taxonomy_version", pa.int32(), nullable=False),
        pa.field("model_name", _WORDS, nullable=False),
        pa.field("model_version", _WORDS, nullable=False),
        pa.field("subject", pa.string(), nullable=False),
        pa.field("sender_domain", pa.string(), nullable=False),
        pa.field("mailbox", pa.string(), nullable=False),
        pa.field("body", pa.string(), nullable=False),
        pa.field("language", _WORDS, nullable=False),
        pa.field("decided", pa.string(), nullable=False),
        pa.field("corrected", pa.string(), nullable=False),
        pa.field("redaction", pa.list_(pa.field("item", pa.string(), nullable=False)), nullable=False),
    ],
    metadata={"mailweir.feedback": _VERSION},
)
"""Columns of ledger and shards, in order; `decided` and `corrected` are JSON."""


def write_rows(rows: Iterable[FeedbackRow]) -> bytes:
    """A Parquet file of these rows, one per place, by place."""
    table = pa.Table.from_pylist([_cells(row) for row in once(rows)], schema=SCHEMA)
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def read_rows(data: bytes, name: str) -> list[FeedbackRow]:
    """The rows of a file; `name` is for messages.

    Raises:
        InputError: the bytes are no Parquet file of feedback rows, or of a later version.
    """
    try:
        table = _table(data)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name} is no Parquet file: {str(error).splitlines()[0]}", path=name) from error
    return rows_of(table, name)


def rows_of(table: pa.Table, name: str) -> list[FeedbackRow]:
    """The rows of an Arrow table with the columns of `SCHEMA`; others are ignored.

    Raises:
        InputError: a column is missing, or a row is none.
    """
    there = [column for column in SCHEMA.names if column in table.column_names]
    missing = set(SCHEMA.names) - {*there, *_ADDED}
    if missing:
        raise InputError(
            f"{name} holds no feedback: {', '.join(name for name in SCHEMA.names if name in missing)} missing",
            path=name,
        )
    version = (table.schema.metadata or {}).get(b"mailweir.feedback", _VERSION.encode()).decode()
    if version != _VERSION:
        raise InputError(f"{name} is of version {version}, this software reads {_VERSION}: upgrade it", path=name)
    return [_row(cells, f"{name}, row {number}") for number, cells in enumerate(table.select(there).to_pylist())]


def offsets(data: bytes, name: str) -> Sequence[int]:
    """The offsets of a file's rows, without reading their text.

    Raises:
        InputError: the bytes are no Parquet file of feedback rows.
    """
    try:
        found: list[int] = _table(data, ["offset"])["offset"].to_pylist()
    except (pa.ArrowException, OSError, KeyError) as error:
        raise InputError(f"{name} is no Parquet file of feedback rows: {type(error).__name__}", path=name) from error
    return found


def withdrawals(data: bytes, name: str) -> int:
    """How many rows of a file take words back in a person's name, without reading their text.

    Raises:
        InputError: the bytes are no Parquet file of feedback rows.
    """
    try:
        if "given_by" not in pq.read_schema(pa.BufferReader(data)).names:
            return 0
        return len(_table(data, ["given_by"])["given_by"].drop_null())
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name} is no Parquet file of feedback rows: {type(error).__name__}", path=name) from error


def _table(data: bytes, columns: Sequence[str] | None = None) -> pa.Table:
    """Read on this thread alone: a process that ends while threads of Arrow begin aborts (seen once, in a short command)."""
    return pq.ParquetFile(pa.BufferReader(data), pre_buffer=False).read(columns=columns, use_threads=False)


def _cells(row: FeedbackRow) -> dict[str, Any]:
    plain = row.model_dump(exclude=set(_JSON))
    return plain | {"decided": row.decided.model_dump_json(), "corrected": row.corrected.model_dump_json()}


def _row(cells: dict[str, Any], name: str) -> FeedbackRow:
    try:
        return FeedbackRow.model_validate(cells | {column: orjson.loads(cells[column]) for column in _JSON})
    except (ValidationError, orjson.JSONDecodeError) as error:
        fields = (
            ", ".join({str(item["loc"][0]) for item in error.errors()})
            if isinstance(error, ValidationError)
            else "JSON"
        )
        raise InputError(f"{name} is no feedback row: {fields}", path=name) from error
