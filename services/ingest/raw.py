"""A raw mail as it comes from the topic `mail.raw`, without Kafka around it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mailweir.schemas.events import Coordinates

__all__ = ["RawMail"]


@dataclass(frozen=True, slots=True)
class RawMail:
    """The value of one raw record and what its headers and place say."""

    value: bytes  # RFC 822 bytes or JSON
    mailbox: str = ""  # key of the record: who received it
    content_type: str | None = None  # header `content-type`; None means message/rfc822
    source: Coordinates | None = None  # where it lies in Kafka
    received_at: datetime | None = None  # aware; time stamp of the record
