"""AsyncAPI 3.0 document of the topics: channels, messages with their headers, and which agent does what."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from pydantic.json_schema import models_json_schema

from mailweir.schemas.events import DEAD_PREFIX, JSON_MAIL, RFC822_MAIL, DeadLetter, Event, RawEmail
from mailweir.schemas.reading import ReaderSchema
from mailweir.schemas.topics import TOPICS, Topic

__all__ = ["asyncapi"]

_BINDING = "0.5.0"
_OUTSIDE = {"client", "sender", "watcher", "reviewer"}  # what others do is not an operation of ours
_TRACEPARENT = {
    "type": "string",
    "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
    "description": "W3C trace context; a mail without one gets a trace from its id.",
}
_CORRELATION = {"location": "$message.header#/traceparent", "description": "One trace from raw mail to decision."}
_RFC822_PAYLOAD = {"type": "string", "contentMediaType": RFC822_MAIL, "description": "An RFC 5322 message, as bytes."}
_ORIGINAL_PAYLOAD = {
    "description": "The value of the rejected record, byte for byte; its content-type is the original's."
}


def asyncapi(prefix: str = "mail", group_prefix: str = "mailweir") -> dict[str, Any]:
    """The document for topics that begin with `prefix` and groups that begin with `group_prefix`."""
    return {
        "asyncapi": "3.0.0",
        "id": "urn:mailweir",
        "info": {
            "title": "mailweir",
            "version": version("mailweir"),
            "description": "Raw mail goes in, decisions come out, and what cannot be handled is in the dead letters.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": JSON_MAIL,
        "channels": {topic.name: _channel(topic, prefix) for topic in TOPICS},
        "operations": {
            f"{party}.{action}.{topic.name}": _operation(topic, action, party, group_prefix)
            for topic in TOPICS
            for action, parties in (("send", topic.writers), ("receive", topic.readers))
            for party in parties
            if party not in _OUTSIDE
        },
        "components": {
            "messages": {name: message for topic in TOPICS for name, message in _messages(topic).items()},
            "schemas": _schemas(),
        },
    }


def _channel(topic: Topic, prefix: str) -> dict[str, Any]:
    name = topic.full_name(prefix)
    configuration = {
        "cleanup.policy": ["compact" if topic.compacted else "delete"],
        "retention.ms": topic.retention_ms,
        "max.message.bytes": topic.max_record_bytes,
    }
    return {
        "address": name,
        "description": topic.meaning,
        "messages": {message: {"$ref": f"#/components/messages/{message}"} for message in _messages(topic)},
        "bindings": {
            "kafka": {
                "topic": name,
                "partitions": topic.partitions,
                "topicConfiguration": configuration,
                "bindingVersion": _BINDING,
            }
        },
    }


def _operation(topic: Topic, action: str, party: str, group_prefix: str) -> dict[str, Any]:
    channel = f"#/channels/{topic.name}"
    group = {"type": "string", "const": f"{group_prefix}.{party}"}
    return {
        "action": action,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{message}"} for message in _messages(topic)],
        **({"bindings": {"kafka": {"groupId": group, "bindingVersion": _BINDING}}} if action == "receive" else {}),
    }


def _messages(topic: Topic) -> dict[str, dict[str, Any]]:
    """Messages of a topic by name; a raw mail comes in two forms, a dead letter in that of the original."""
    found = {event.__name__: _message(topic, event) for event in topic.events}
    if RawEmail in topic.events:
        text = "A mail as RFC 5322 bytes; this is what a record without content-type is."
        found["RawMessage"] = _described(
            topic, "RawMessage", text, RFC822_MAIL, _RFC822_PAYLOAD, _raw_headers(RFC822_MAIL)
        )
    return found


def _message(topic: Topic, event: type[Event]) -> dict[str, Any]:
    name, text = event.__name__, _first_line(event)
    if event is DeadLetter:
        return _described(topic, name, text, "application/octet-stream", _ORIGINAL_PAYLOAD, _dead_headers())
    headers = _raw_headers(JSON_MAIL) if event is RawEmail else _event_headers(event)
    return _described(topic, name, text, JSON_MAIL, {"$ref": f"#/components/schemas/{name}"}, headers)


def _described(
    topic: Topic, name: str, text: str, content_type: str, payload: dict[str, Any], headers: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": name,
        "summary": text,
        "contentType": content_type,
        "headers": headers,
        "payload": payload,
        "correlationId": _CORRELATION,
        "bindings": {"kafka": {"key": {"type": "string", "description": topic.key}, "bindingVersion": _BINDING}},
    }


def _raw_headers(content_type: str) -> dict[str, Any]:
    properties = {"content-type": {"type": "string", "const": content_type}, "traceparent": _TRACEPARENT}
    return {
        "type": "object",
        "properties": properties,
        "required": ["content-type"] if content_type == JSON_MAIL else [],
    }


def _event_headers(event: type[Event]) -> dict[str, Any]:
    """CloudEvents in binary mode."""
    properties: dict[str, Any] = {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": {"type": "string", "minLength": 1, "description": "A repeat of the event has the same id."},
        "ce_type": {"type": "string", "const": event.versioned_type()},
        "ce_source": {"type": "string", "description": "/mailweir/ and the agent that wrote it."},
        "ce_time": {"type": "string", "format": "date-time"},
        "content-type": {"type": "string", "const": JSON_MAIL},
        "traceparent": _TRACEPARENT,
    }
    return {"type": "object", "properties": properties, "required": [*properties]}


def _dead_headers() -> dict[str, Any]:
    """The cause, as `DeadLetter.headers` writes it; Kafka headers are text."""
    names = ("schema", "topic", "partition", "offset", "stage", "code", "message", "attempts", "trace_id", "at")
    properties = {DEAD_PREFIX + name: {"type": "string"} for name in names}
    omitted = {
        "type": "string",
        "description": "Bytes of the original that did not fit; without it the value is the original's.",
    }
    return {
        "type": "object",
        "properties": properties | {f"{DEAD_PREFIX}omitted_bytes": omitted},
        "required": [*properties],
    }


def _schemas() -> dict[str, Any]:
    events = [event for topic in TOPICS for event in topic.events if event is not DeadLetter]
    _, found = models_json_schema(
        [(event, "serialization") for event in events],
        by_alias=True,
        ref_template="#/components/schemas/{model}",
        schema_generator=ReaderSchema,
    )
    schemas: dict[str, Any] = found["$defs"]
    return schemas


def _first_line(event: type[Event]) -> str:
    return (event.__doc__ or "").strip().partition("\n")[0]
