"""What all events share: frozen, strict when written, tolerant when read, and able to encode themselves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self

import orjson
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)

from mailweir.schemas.errors import InvalidEvent, MalformedJson, UnknownSchemaVersion

__all__ = ["Event", "Part", "Probability", "Sha256", "UtcTime", "utc_now"]


def utc_now() -> datetime:
    """Now, aware, in UTC."""
    return datetime.now(UTC)


def _to_utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value


def _to_milliseconds(value: datetime) -> datetime:
    """What is written has no more: ids that follow from a time must be the same before and after."""
    return value.replace(microsecond=value.microsecond // 1_000 * 1_000)


def _iso_milliseconds(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


UtcTime = Annotated[
    AwareDatetime,
    BeforeValidator(_to_utc),
    AfterValidator(_to_milliseconds),
    PlainSerializer(_iso_milliseconds, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""An aware time to the millisecond; written as RFC 3339 in UTC."""

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
"""A calibrated probability, 0 to 1."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 digest as 64 lower-case hex digits."""


class Part(BaseModel):
    """A frozen piece of an event."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", serialize_by_alias=True, validate_by_name=True, validate_by_alias=True
    )


class Event(Part):
    """An event of a topic: JSON value, schema version inside, stable id for its CloudEvents header.

    Subclasses set `ce_type`, the CloudEvents type, and `current_version`, the schema version that they write.
    """

    ce_type: ClassVar[str]
    current_version: ClassVar[int] = 1

    schema_version: int = Field(
        default=1, alias="schema", ge=1, strict=True, description="Schema version of this event."
    )

    @property
    def event_id(self) -> str:
        """The id under which a repeat of this event is the same event (CloudEvents `id`)."""
        raise NotImplementedError

    @classmethod
    def versioned_type(cls) -> str:
        """The CloudEvents type of what is written now: `mailweir.decision.v1`."""
        return f"{cls.ce_type}.v{cls.current_version}"

    def encode(self) -> bytes:
        """The JSON value of the Kafka record."""
        return self.model_dump_json().encode()

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Read any version up to the current one; unknown fields are ignored.

        Raises:
            MalformedJson: the bytes are no JSON.
            UnknownSchemaVersion: the event is newer than this software.
            InvalidEvent: a field is missing or has a value that the contract does not allow.
        """
        try:
            data = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise MalformedJson(f"not JSON: {error}") from error
        return cls.from_json(data)

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """`decode` for JSON that is already parsed."""
        version = data.get("schema", 1) if isinstance(data, dict) else 1
        if isinstance(version, int) and version > cls.current_version:
            message = f"{cls.ce_type} has schema {version}, this software reads up to {cls.current_version}: upgrade it"
            raise UnknownSchemaVersion(message, version=version)
        try:
            return cls.model_validate_json(orjson.dumps(data), extra="ignore")
        except orjson.JSONEncodeError as error:  # reads four times deeper than it writes
            raise InvalidEvent(f"not a {cls.__name__}: {error}") from error
        except ValidationError as error:
            raise InvalidEvent(_describe(cls, error), fields=_fields(error)) from error


def _fields(error: ValidationError) -> list[str]:
    return [".".join(str(step) for step in item["loc"]) for item in error.errors(include_input=False)]


def _describe(kind: type[Event], error: ValidationError) -> str:
    """Field and reason of the first three problems, without the values: they may be text of a mail."""
    items = error.errors(include_input=False, include_url=False)
    problems = [f"{'.'.join(map(str, item['loc'])) or 'value'}: {item['msg']}" for item in items]
    more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""  # three say what is wrong, thirty hide it
    return f"not a {kind.__name__}: {'; '.join(problems[:3])}{more}"
