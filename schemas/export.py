"""The contracts as files for other languages: JSON Schema of every event, and AsyncAPI of the topics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from mailweir.schemas.asyncapi import asyncapi
from mailweir.schemas.errors import InputError
from mailweir.schemas.events import Event
from mailweir.schemas.reading import ReaderSchema
from mailweir.schemas.topics import TOPICS

__all__ = ["event_types", "export", "json_schema"]


def event_types() -> tuple[type[Event], ...]:
    """Every event that travels on a topic, in the order of the topics table."""
    return tuple(event for topic in TOPICS for event in topic.events)


def json_schema(event: type[Event]) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of what an event looks like when it is written.

    Fields that are not in it are allowed, as every reader of this contract ignores them. Labels are strings: which ones there
    are is data of the taxonomy that the event names. A field that is not required has a default; whoever reads must expect both.
    """
    made = event.model_json_schema(mode="serialization", by_alias=True, schema_generator=ReaderSchema)
    made["properties"]["schema"] = {"const": event.current_version, "description": "Schema version of this event."}
    name = event.versioned_type()
    return {"$schema": ReaderSchema.schema_dialect, "$id": f"urn:{name.replace('.', ':')}", **made}


def export(directory: Path, prefix: str = "mail", group_prefix: str = "mailweir") -> list[Path]:
    """Write `<CloudEvents type>.json` for every event and `asyncapi.json`; the files, in that order.

    Raises:
        InputError: the directory cannot be made or written.
    """
    documents = {f"{event.versioned_type()}.json": json_schema(event) for event in event_types()}
    documents["asyncapi.json"] = asyncapi(prefix, group_prefix)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return [_write(directory / name, document) for name, document in documents.items()]
    except OSError as error:
        raise InputError(f"cannot write schemas to {directory}: {error}", path=str(directory)) from error


def _write(path: Path, document: dict[str, Any]) -> Path:
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return path
