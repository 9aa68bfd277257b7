"""Header blocks: repair of a broken one, and access to the fields of a parsed one."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailweir.schemas.errors import NotAMail
from mailweir.services.ingest.notes import Notes
from mailweir.services.ingest.plaintext import clean_line
from mailweir.services.ingest.tree import Part
from mailweir.services.ingest.words import decode_words, unescape

__all__ = ["Head", "repair_head"]

# One of these makes a header block that of a mail.
_MAIL_FIELDS = (
    "from|to|cc|bcc|subject|date|message-id|received|return-path|reply-to|sender|delivered-to|in-reply-to|references|"
    "mime-version|content-type|resent-from|resent-date|x-mailer|dkim-signature|apparently-to|newsgroups"
)
_FIELD = re.compile(rb"(?:%s)[ \t]*:" % _MAIL_FIELDS.encode(), re.IGNORECASE)
_ANY_FIELD = re.compile(rb"[!-9;-~]{1,200}:|[ \t]")  # a field begins here or goes on
_SPACED_FIELD = re.compile(
    rb"\A([!-9;-~]{1,200})[ \t]{1,200}:"
)  # RFC 5322's obsolete form, which the parser does not read
_SEPARATOR = re.compile(rb">?From [^\n]*\n")  # the line before a mail in an mbox, quoted by some programs
_BLANK = re.compile(rb"\r?\n\r?\n|\r\r")
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_HEAD_BYTES = 4_000_000  # a header block larger than that breaks the limits anyway


def repair_head(data: bytes, notes: Notes) -> bytes:
    """`data` from the first header field on, with a header block that a strict parser reads to its end.

    Raises:
        NotAMail: none of the fields that a mail has stands in the block.
    """
    data = data.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n\t \x00")
    if b"\r\r\n" in data[:_HEAD_BYTES]:
        notes.add("line_endings_repaired")
        data = data.replace(b"\r\r\n", b"\r\n")
    while separator := _SEPARATOR.match(data):
        data = data[separator.end() :].lstrip(b"\r\n")
    blank = _BLANK.search(data, 0, _HEAD_BYTES)
    end = blank.start() if blank else min(len(data), _HEAD_BYTES)
    lines = [_SPACED_FIELD.sub(rb"\1:", line) for line in _LINE.findall(data, 0, end)]
    if not any(map(_FIELD.match, lines)):
        message = "no header field of a mail (From, To, Subject, Date, Received …) at the beginning: send RFC 822 bytes"
        raise NotAMail(message, size=len(data))
    return _mended(lines, notes) + data[end:]


def _mended(lines: list[bytes], notes: Notes) -> bytes:
    """Lines that are no fields go on the field before them; after the last field they are the body."""
    if all(map(_ANY_FIELD.match, filter(None, lines))) and lines[0][:1] not in b" \t":
        return b"".join(lines)
    last = max(number for number, line in enumerate(lines) if _FIELD.match(line))
    kept: list[bytes] = []
    for number, line in enumerate(lines):
        if not line or _ANY_FIELD.match(line):
            kept.append(line)
        elif number > last or line.startswith(b"--") or (kept and not kept[-1].strip()):
            notes.add("separator_missing")
            return b"".join([*kept, b"\n", *lines[number:]])
        else:
            notes.add("header_broken")
            kept.append(b" " + line if kept else b"")
    return b"".join(kept)


class Head:
    """The fields of a message, names in lower case, values unfolded and not yet decoded."""

    def __init__(self, message: Part, notes: Notes) -> None:
        self._notes = notes
        self._fields: dict[str, list[str]] = {}
        for name, value in message.raw_items():
            self._fields.setdefault(name.lower(), []).append(str(value))

    def raw(self, name: str) -> str | None:
        """First value of a field, 8-bit bytes as surrogate escapes."""
        values = self._fields.get(name)
        return values[0] if values else None

    def all(self, name: str) -> Iterable[str]:
        """All values of a field in order, decoded as text."""
        return [self._eight_bit(value) for value in self._fields.get(name, ())]

    def text(self, name: str) -> str:
        """First value of a field, encoded words decoded, on one line; empty if there is none."""
        value = self.raw(name)
        return clean_line(decode_words(value, self._notes)) if value else ""

    def count(self, name: str) -> int:
        """How often a field occurs."""
        return len(self._fields.get(name, ()))

    def _eight_bit(self, value: str) -> str:
        return value if value.isascii() else unescape(value).decode("utf-8", "replace")
