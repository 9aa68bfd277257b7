"""Address lists (RFC 5322 section 3.4), read as tolerantly as mail readers do, in linear time."""

from __future__ import annotations

import re

from mailweir.schemas.events import Address
from mailweir.services.ingest.notes import Notes
from mailweir.services.ingest.plaintext import clean_line
from mailweir.services.ingest.words import decode_words

__all__ = ["MAX_ADDRESSES", "parse_addresses"]

MAX_ADDRESSES = 1000  # of one field: an Email must fit onto mail.parsed
_MAX_NAME = 500  # characters of a display name, for the same reason
_MAX_SPEC = 320  # RFC 5321: 64 before the @, 255 behind it

# What can stand in an address list: a quoted string, a comment, an address in angle brackets, a delimiter, other text.
# The bounds keep it linear where quotes are opened and never closed.
_TOKEN = re.compile(r'"((?:[^"\\]|\\.){0,300})"|\(([^()]{0,300})\)|<([^<>]{0,1000})>|([,;:])|([^"(<,;:]+|.)', re.DOTALL)
_SPEC = re.compile(r"[^\s<>,;:\"()]+@[^\s<>,;:\"()]+")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class _Entry:
    """One mailbox while it is being read."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.comments: list[str] = []
        self.bracketed: str | None = None

    def address(self, notes: Notes) -> Address | None:
        text = " ".join(word for word in (word.strip() for word in self.words) if word)
        found = self.bracketed
        if found is None:
            match = _SPEC.search(text)
            found = match[0] if match else ""
            text = text.replace(found, " ", 1) if found else text
        text = text.replace(" ,", ",")
        name = clean_line(decode_words(text, notes)) or clean_line(decode_words(" ".join(self.comments), notes))
        spec = _spec(found)
        if not spec and (name or found):
            notes.add("address_unreadable")
            name = name or clean_line(decode_words(found, notes))
        return Address(name="" if name == spec else name[:_MAX_NAME], address=spec) if name or spec else None


def parse_addresses(raw: str, notes: Notes) -> tuple[Address, ...]:
    """All mailboxes of a header value; groups give their members, an unreadable entry keeps its text as the name."""
    found: list[Address] = []
    for entry in _entries(raw):
        address = entry.address(notes)
        if address is None:
            continue
        if len(found) == MAX_ADDRESSES:
            notes.add("recipients_cut")
            break
        found.append(address)
    return tuple(found)


def _entries(raw: str) -> list[_Entry]:
    entries = [_Entry()]
    for token in _TOKEN.finditer(raw):
        quoted, comment, bracketed, delimiter, text = token.groups()
        entry = entries[-1]
        if quoted is not None:
            entry.words.append(_ESCAPED.sub(r"\1", quoted))
        elif comment is not None:
            entry.comments.append(comment)
        elif bracketed is not None:
            entry.bracketed = bracketed
        elif text is not None:
            entry.words.append(text)
        else:
            _delimit(delimiter, entries)
    return entries


def _delimit(delimiter: str, entries: list[_Entry]) -> None:
    """A colon ends a group's name; a comma or semicolon ends a mailbox, unless it stands in an unquoted name."""
    entry = entries[-1]
    if delimiter == ":":
        entry.words.clear()
    elif delimiter == "," and entry.words and entry.bracketed is None and "@" not in "".join(entry.words):
        entry.words.append(",")  # "Doe, Jane <jane@…>"
    else:
        entries.append(_Entry())


def _spec(raw: str) -> str:
    """An addr-spec with its domain in lower case, without a source route; empty if it is none."""
    match = _SPEC.search(raw.rpartition(":")[2].replace(" ", ""))
    if match is None or len(match[0]) > _MAX_SPEC:
        return ""
    if not match[0].isascii():
        return _international(match[0])
    local, _, domain = match[0].rpartition("@")
    return f"{local}@{domain.lower().rstrip('.')}"


def _international(spec: str) -> str:
    """A non-ASCII address (RFC 6532): the raw bytes as UTF-8."""
    local, _, domain = clean_line(spec.encode("utf-8", "surrogateescape").decode("utf-8", "replace")).rpartition("@")
    return f"{local}@{domain.lower()}"
