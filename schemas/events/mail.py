"""Mail on its way in: `RawEmail` as JSON on `mail.raw`, `Email` on `mail.parsed`."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from mailweir.schemas.events.base import Event, Part, Probability, Sha256, UtcTime
from mailweir.schemas.ids import json_mail_id

__all__ = [
    "JSON_MAIL",
    "RFC822_MAIL",
    "Address",
    "Attachment",
    "Authentication",
    "Coordinates",
    "Email",
    "Language",
    "RawEmail",
    "Zone",
    "ZoneKind",
]

RFC822_MAIL = "message/rfc822"
"""Content type of a raw mail as bytes (RFC 5322)."""

JSON_MAIL = "application/json"
"""Content type of a raw mail as JSON: `RawEmail`."""

ZoneKind = Literal["new", "quoted", "signature", "disclaimer", "forwarded"]


class Coordinates(Part):
    """Where a record lies in Kafka."""

    topic: str = Field(description="Topic name with its prefix.")
    partition: int = Field(ge=0, description="Partition number.")
    offset: int = Field(ge=0, description="Offset in the partition.")


class Address(Part):
    """One mailbox of an address header."""

    name: str = Field(default="", description="Display name, decoded; empty if there is none.")
    address: str = Field(default="", description="addr-spec, lower-cased domain; empty if it could not be read.")

    def __str__(self) -> str:
        """`Name <address>`, or what there is of it."""
        return f"{self.name} <{self.address}>" if self.name and self.address else self.address or self.name


class Attachment(Part):
    """An attached file: what it is, never its content."""

    name: str = Field(description="File name, decoded and without a path; empty if there is none.")
    content_type: str = Field(description="MIME type in lower case.")
    size: int = Field(ge=0, description="Bytes after transfer decoding.")


class Authentication(Part):
    """Results of one `Authentication-Results` header (RFC 8601) added by a trusted host."""

    host: str = Field(description="The authserv-id that reported.")
    spf: str | None = Field(default=None, description="Result of SPF: pass, fail, softfail, none …")
    dkim: str | None = Field(default=None, description="Result of DKIM.")
    dmarc: str | None = Field(default=None, description="Result of DMARC.")


class Zone(Part):
    """A range of the body and what it is."""

    kind: ZoneKind = Field(description="new, quoted, signature, disclaimer or forwarded.")
    start: int = Field(ge=0, description="First character in the body.")
    end: int = Field(ge=0, description="Character after the last.")


class Language(Part):
    """The language of the newest text."""

    code: str = Field(description="en, tr, de, fr, es or other.")
    probability: Probability = Field(description="How sure the detector is.")


class RawEmail(Event):
    """A mail as JSON, for producers that have no RFC 822 bytes (content type `application/json`)."""

    ce_type: ClassVar[str] = "mailweir.raw_email"

    id: str | None = Field(default=None, description="The producer's own id; comes back as `input_id`.")
    subject: str = Field(default="", description="Subject, decoded.")
    sender: str = Field(default="", alias="from", description="`Name <address>` or an address.")
    to: tuple[str, ...] = Field(default=(), description="Recipients, each `Name <address>` or an address.")
    date: str | None = Field(
        default=None, description="RFC 3339 or RFC 5322 date; an absurd one is kept as null with a note."
    )
    body: str = Field(default="", description="Plain text.")
    mailbox: str = Field(default="", description="Who received it: sales, support, finance …; empty: the record's key.")

    @field_validator("to", mode="before")
    @classmethod
    def _one_recipient(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("id", mode="before")
    @classmethod
    def _number_is_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("subject", "sender", "body", "mailbox", mode="before")
    @classmethod
    def _null_is_empty(cls, value: object) -> object:
        return "" if value is None else value

    @property
    def event_id(self) -> str:
        """The email id."""
        return self.email_id(self.mailbox)

    def email_id(self, mailbox: str) -> str:
        """The id of this mail in `mailbox`."""
        return json_mail_id(mailbox, self.model_dump(mode="json", exclude={"schema_version", "mailbox"}))


class Email(Event):
    """A parsed mail: text, people, dates and zones, safe to hand to a model."""

    ce_type: ClassVar[str] = "mailweir.email"

    email_id: Sha256 = Field(description="SHA-256 over mailbox and canonical message.")
    input_id: str | None = Field(default=None, description="The producer's own id, if the mail came as JSON with one.")
    mailbox: str = Field(description="Who received it; key of the raw record.")
    source: Coordinates | None = Field(default=None, description="Where the raw mail lies; null outside Kafka.")
    message_id: str | None = Field(default=None, description="Message-ID without angle brackets.")
    in_reply_to: str | None = Field(default=None, description="Message-ID this mail answers.")
    references: tuple[str, ...] = Field(default=(), description="Message-IDs of the thread, oldest first.")
    subject: str = Field(default="", description="Subject, decoded, on one line.")
    sender: Address = Field(default=Address(), alias="from", description="Author (From).")
    reply_to: tuple[Address, ...] = Field(default=(), description="Where answers should go.")
    to: tuple[Address, ...] = Field(default=(), description="Recipients.")
    cc: tuple[Address, ...] = Field(default=(), description="Copies.")
    date: UtcTime | None = Field(default=None, description="Date header in UTC; null if missing or absurd.")
    body: str = Field(default="", description="Plain text of the mail, HTML turned to text.")
    zones: tuple[Zone, ...] = Field(default=(), description="What each part of the body is, in order, without gaps.")
    attachments: tuple[Attachment, ...] = Field(default=(), description="Attached files.")
    authentication: tuple[Authentication, ...] = Field(default=(), description="Results of trusted hosts only.")
    language: Language = Field(
        default=Language(code="other", probability=0.0), description="Language of the newest text."
    )
    warnings: tuple[str, ...] = Field(default=(), description="Codes of what was odd and how it was repaired.")
    truncated: bool = Field(default=False, description="True if the body was cut at ingest's limit.")
    received_at: UtcTime | None = Field(default=None, description="Time stamp of the raw record.")
    parse_ms: float = Field(default=0.0, ge=0, description="Milliseconds of parsing.")

    @property
    def event_id(self) -> str:
        """The email id."""
        return self.email_id
