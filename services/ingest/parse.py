"""Raw mail to `Email`: a pure function of its bytes and the limits (and of the clock, for `parse_ms` and dates ahead)."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from mailweir.models.text.language import detect
from mailweir.models.text.zone import split_zones
from mailweir.schemas.errors import EmptyRecord, UnknownContentType
from mailweir.schemas.events import JSON_MAIL, RFC822_MAIL, Email, Language, Zone
from mailweir.services.ingest.jsonmail import read_json
from mailweir.services.ingest.limits import ParseLimits
from mailweir.services.ingest.notes import Notes
from mailweir.services.ingest.plaintext import clean_body
from mailweir.services.ingest.raw import RawMail
from mailweir.services.ingest.rfc822 import read_rfc822

__all__ = ["parse"]

_READERS: dict[str, Callable[[RawMail, ParseLimits, Notes], dict[str, Any]]] = {
    RFC822_MAIL: read_rfc822,
    JSON_MAIL: read_json,
}
_MAX_SUBJECT = 4096  # characters; an Email must fit onto mail.parsed
_LANGUAGE_CHARS = 600  # more text makes the detector slower, not better


def parse(raw: RawMail, limits: ParseLimits) -> Email:
    """The mail in `raw`.

    Raises:
        EmptyRecord, NotAMail, MailTooLarge, LimitExceeded, UnknownContentType, MalformedJson, InvalidEvent,
        UnknownSchemaVersion: the record is at fault; it belongs into `mail.dead`.
    """
    started = perf_counter()
    if not raw.value or raw.value.isspace():
        raise EmptyRecord("the record has no value: send the mail's bytes as the value, the mailbox as the key")
    limits.check_size(len(raw.value))
    notes = Notes()
    fields = _reader(raw.content_type)(raw, limits, notes)
    subject, body = _fitted(fields.pop("subject"), fields.pop("body"), limits, notes)
    zones = split_zones(body)
    return Email(
        **fields,
        source=raw.source,
        received_at=raw.received_at,
        subject=subject,
        body=body,
        zones=zones,
        language=_language(subject, body, zones),
        warnings=notes.codes(),
        truncated="body_cut" in notes.codes(),
        parse_ms=round((perf_counter() - started) * 1000, 3),
    )


def _reader(content_type: str | None) -> Callable[[RawMail, ParseLimits, Notes], dict[str, Any]]:
    kind = (RFC822_MAIL if content_type is None else content_type).partition(";")[0].strip().lower()
    reader = _READERS.get(kind)
    if reader is None:
        expected = " or ".join(_READERS)
        raise UnknownContentType(f"content type {kind[:100]!r}: send {expected}", content_type=kind[:100])
    return reader


def _fitted(subject: str, body: str, limits: ParseLimits, notes: Notes) -> tuple[str, str]:
    if len(subject) > _MAX_SUBJECT:
        notes.add("subject_cut")
    return subject[:_MAX_SUBJECT], clean_body(body, limits.max_body_chars, notes)


def _language(subject: str, body: str, zones: tuple[Zone, ...]) -> Language:
    """Language of the newest text; of all of it where nothing is new."""
    newest = "\n".join(body[zone.start : zone.end] for zone in zones if zone.kind == "new")
    text = newest if newest.strip() else body
    return detect(f"{subject}\n{text}"[:_LANGUAGE_CHARS])
