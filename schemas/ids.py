"""Ids that follow from content, so that a repeat is recognisably the same thing.

- **email id**: mailbox and message in canonical form.
- **decision id**: email id, model version, taxonomy version, policy version.

Both are SHA-256 in hex over length-prefixed parts: no two lists of parts share one byte string.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import orjson

__all__ = ["canonical_message", "decision_id", "digest", "email_id", "json_mail_id", "trace_id"]

# Header fields that relays and mailboxes add on the way: the same mail fetched twice differs only in them.
_TRACE_FIELDS = re.compile(
    rb"^(?:received|return-path|delivered-to|x-original-to|envelope-to|delivery-date|status|x-status|x-keywords|"
    rb"x-mozilla-status2?|x-gmail-labels|x-uid|x-uidl)[ \t]*:",
    re.IGNORECASE,
)


def digest(*parts: str | bytes) -> str:
    """SHA-256 over `parts`, each preceded by its length in bytes."""
    state = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "big"))
        state.update(data)
    return state.hexdigest()


def canonical_message(message: bytes) -> bytes:
    """RFC 5322 bytes as they were before transport: LF, no mbox separator, no trace fields, no blank lines at the end."""
    text = message.replace(b"\r\n", b"\n").replace(b"\r", b"\n").strip(b"\n")
    if text.startswith(b"From "):
        text = text.partition(b"\n")[2]
    head, separator, body = text.partition(b"\n\n")
    fields = re.split(rb"\n(?![ \t])", head)
    kept = b"\n".join(field for field in fields if not _TRACE_FIELDS.match(field))
    return kept + separator + body


def email_id(mailbox: str, message: bytes) -> str:
    """Id of an RFC 5322 message in a mailbox."""
    return digest("rfc822", mailbox, canonical_message(message))


def json_mail_id(mailbox: str, fields: Mapping[str, Any]) -> str:
    """Id of a JSON mail: its fields in sorted order; the producer's own id counts, so two ids are two mails."""
    return digest("json", mailbox, orjson.dumps(dict(fields), option=orjson.OPT_SORT_KEYS))


def decision_id(email: str, model: str, taxonomy: str, policy: str) -> str:
    """Id of the decision that `model` (name and version) makes about `email` under `taxonomy` and `policy`."""
    return digest("decision", email, model, taxonomy, policy)


def trace_id(subject: str) -> str:
    """Trace id of what came without one: 32 hex digits of the id of its subject, so a repeat joins its own trace."""
    return subject[:32]
