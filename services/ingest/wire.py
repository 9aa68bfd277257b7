"""What parent and parser process say to each other: frames of a length and JSON, and the bytes of mails."""

from __future__ import annotations

import struct
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

import orjson

from mailweir.schemas.errors import ParserCrashed, RecordError
from mailweir.schemas.events import Coordinates, Email
from mailweir.services.ingest.limits import ParseLimits
from mailweir.services.ingest.raw import RawMail

__all__ = [
    "HEADER",
    "READY",
    "decode_answer",
    "decode_limits",
    "decode_mail",
    "encode_email",
    "encode_error",
    "encode_limits",
    "encode_mail",
    "frame",
]

HEADER: Final = struct.Struct(">I")
"""Length of the frame that follows, in bytes."""

_ABOUT: Final = struct.Struct(">I")  # length of the JSON that begins the frame of a mail
_EMAIL: Final = b"E"
_ERROR: Final = b"R"

READY: Final = b"ready"
"""The child's first frame: it is warm."""


def frame(payload: bytes) -> bytes:
    """`payload` with its length before it."""
    return HEADER.pack(len(payload)) + payload


def encode_limits(limits: ParseLimits) -> bytes:
    """The parent's first frame."""
    return frame(orjson.dumps(asdict(limits)))


def decode_limits(payload: bytes) -> ParseLimits:
    """Limits from the parent's first frame."""
    fields = orjson.loads(payload)
    return ParseLimits(**fields | {"trusted_hosts": tuple(fields["trusted_hosts"])})


def encode_mail(mail: RawMail) -> bytes:
    """The frame of one mail: what is known about it, then its bytes."""
    about = orjson.dumps(
        {
            "mailbox": mail.mailbox,
            "content_type": mail.content_type,
            "source": mail.source.model_dump() if mail.source else None,
            "received_at": mail.received_at.isoformat() if mail.received_at else None,
        }
    )
    size = _ABOUT.size + len(about) + len(mail.value)
    return b"".join((HEADER.pack(size), _ABOUT.pack(len(about)), about, mail.value))


def decode_mail(payload: bytes) -> RawMail:
    """A mail from its frame."""
    start = _ABOUT.size + _ABOUT.unpack_from(payload)[0]
    about: dict[str, Any] = orjson.loads(payload[_ABOUT.size : start])
    return RawMail(
        value=payload[start:],
        mailbox=about["mailbox"],
        content_type=about["content_type"],
        source=Coordinates(**about["source"]) if about["source"] else None,
        received_at=datetime.fromisoformat(about["received_at"]) if about["received_at"] else None,
    )


def encode_email(email: Email) -> bytes:
    """The answer to a mail that could be parsed."""
    return frame(_EMAIL + email.encode())


def encode_error(error: RecordError) -> bytes:
    """The answer to a mail that could not."""
    answer = {"code": error.code, "message": error.message, "detail": error.detail}
    return frame(_ERROR + orjson.dumps(answer, default=str))


def decode_answer(payload: bytes) -> Email | RecordError:
    """The child's answer. It reads hostile mail: nothing but JSON of a known shape is taken from it."""
    if payload[:1] == _EMAIL:
        return Email.decode(payload[1:])
    fields = orjson.loads(payload[1:])
    kinds: dict[str, type[RecordError]] = {kind.code: kind for kind in RecordError.__subclasses__()}
    kind = kinds.get(fields["code"], ParserCrashed)
    return kind(fields["message"], **fields["detail"])
