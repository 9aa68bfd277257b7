"""JSON mail (`RawEmail`) to the fields of an `Email`."""

from __future__ import annotations

from typing import Any

from mailweir.schemas.events import Address, RawEmail
from mailweir.services.ingest.addresses import MAX_ADDRESSES, parse_addresses
from mailweir.services.ingest.dates import parse_date
from mailweir.services.ingest.html import html_to_text, looks_like_html
from mailweir.services.ingest.limits import ParseLimits
from mailweir.services.ingest.notes import Notes
from mailweir.services.ingest.plaintext import clean_line
from mailweir.services.ingest.raw import RawMail

__all__ = ["read_json"]


def read_json(raw: RawMail, limits: ParseLimits, notes: Notes) -> dict[str, Any]:
    """Fields of the `Email` but for zones and language, the body not yet cut.

    Raises:
        MalformedJson, InvalidEvent, UnknownSchemaVersion: as `RawEmail.decode`.
    """
    mail = RawEmail.decode(raw.value)
    mailbox = mail.mailbox or raw.mailbox
    senders = parse_addresses(mail.sender, notes)
    if not senders:
        notes.add("from_missing")
    return {
        "email_id": mail.email_id(mailbox),
        "input_id": mail.id,
        "mailbox": mailbox,
        "subject": clean_line(mail.subject),
        "sender": senders[0] if senders else Address(),
        "to": _recipients(mail.to, notes),
        "date": parse_date(mail.date, raw.received_at, notes),
        "body": _text(mail.body, limits, notes),
    }


def _recipients(entries: tuple[str, ...], notes: Notes) -> tuple[Address, ...]:
    found = [address for entry in entries for address in parse_addresses(entry, notes)]
    if len(found) > MAX_ADDRESSES:
        notes.add("recipients_cut")
    return tuple(found[:MAX_ADDRESSES])


def _text(body: str, limits: ParseLimits, notes: Notes) -> str:
    if not looks_like_html(body):
        return body
    notes.add("html_in_plain_text")
    return html_to_text(body, notes, 2 * limits.max_body_chars)
