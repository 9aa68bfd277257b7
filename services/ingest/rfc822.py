"""RFC 822 bytes to the fields of an `Email`."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from mailweir.schemas.events import Address
from mailweir.schemas.ids import email_id
from mailweir.services.ingest.addresses import parse_addresses
from mailweir.services.ingest.authentication import authentication_results
from mailweir.services.ingest.body import BodyReader
from mailweir.services.ingest.dates import parse_date
from mailweir.services.ingest.head import Head, repair_head
from mailweir.services.ingest.limits import ParseLimits
from mailweir.services.ingest.notes import Notes
from mailweir.services.ingest.plaintext import clean_line
from mailweir.services.ingest.raw import RawMail
from mailweir.services.ingest.tree import parse_tree

__all__ = ["read_rfc822"]

_ID = re.compile(r"<([^<>]{1,998})>")
_MAX_IDS = 200  # of a thread; the oldest one names it, the newest ones place the mail
_ONCE = ("from", "subject", "date", "message-id")


def read_rfc822(raw: RawMail, limits: ParseLimits, notes: Notes) -> dict[str, Any]:
    """Fields of the `Email` but for zones and language, the body not yet cut."""
    root = parse_tree(repair_head(raw.value, notes), limits, notes)
    head = Head(root, notes)
    reader = BodyReader(limits, notes)
    if any(head.count(name) > 1 for name in _ONCE):
        notes.add("header_repeated")
    return {
        "email_id": email_id(raw.mailbox, raw.value),
        "mailbox": raw.mailbox,
        "subject": head.text("subject"),
        **_people(head, notes),
        **_thread(head, notes),
        "date": _date(head, raw.received_at, notes),
        "body": reader.body(root),
        "attachments": reader.attachments,
        "authentication": authentication_results(head.all("authentication-results"), limits.trusted_hosts),
    }


def _people(head: Head, notes: Notes) -> dict[str, Any]:
    fields = {name: parse_addresses(head.raw(name) or "", notes) for name in ("from", "to", "cc", "reply-to")}
    return {
        "sender": fields["from"][0] if fields["from"] else _other_sender(head, notes),
        "reply_to": fields["reply-to"],
        "to": fields["to"],
        "cc": fields["cc"],
    }


def _other_sender(head: Head, notes: Notes) -> Address:
    notes.add("from_missing")
    for name in ("sender", "return-path"):
        addresses = parse_addresses(head.raw(name) or "", notes)
        if addresses:
            return addresses[0]
    return Address()


def _thread(head: Head, notes: Notes) -> dict[str, Any]:
    references = _ids(head.raw("references"))
    if len(references) > _MAX_IDS:
        notes.add("ids_cut")
        references = references[:1] + references[1 - _MAX_IDS :]
    return {
        "message_id": next(iter(_ids(head.raw("message-id"))), None),
        "in_reply_to": next(iter(_ids(head.raw("in-reply-to"))), None),
        "references": references,
    }


def _ids(raw: str | None) -> tuple[str, ...]:
    """Ids in angle brackets; a single one without them counts too."""
    text = clean_line((raw or "").encode("utf-8", "replace").decode())
    found = tuple(match.strip() for match in _ID.findall(text))
    bare = text[:998] if text and " " not in text and "<" not in text else ""
    return found or ((bare,) if bare else ())


def _date(head: Head, received_at: datetime | None, notes: Notes) -> datetime | None:
    return parse_date(head.text("date"), received_at, notes)
