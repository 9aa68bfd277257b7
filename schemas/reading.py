"""JSON Schemas for readers: what is written is strict, what is read may carry fields of later versions."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

__all__ = ["ReaderSchema"]


class ReaderSchema(GenerateJsonSchema):
    """Pydantic's generator, but unknown fields are allowed and fields have no titles that repeat their names."""

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        """The schema of a model, open to more fields."""
        made = super().model_schema(schema)
        if made.get("additionalProperties") is False:
            del made["additionalProperties"]
        return made

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        """Never: the name says it."""
        return False
