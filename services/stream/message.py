"""From aiokafka's messages to our records."""

from __future__ import annotations

from typing import Any

from mailweir.services.stream.record import Record

__all__ = ["record_of"]


def record_of(message: Any) -> Record:
    """Our record of a message of aiokafka."""
    headers = tuple((name, value or b"") for name, value in message.headers)
    return Record(
        message.topic, message.partition, message.offset, message.key, message.value or b"", headers, message.timestamp
    )
