"""Text of header fields: encoded words (RFC 2047), raw 8-bit text, broken forms of both."""

from __future__ import annotations

import binascii
import re

from mailweir.services.ingest.charset import decode_text
from mailweir.services.ingest.notes import Notes

__all__ = ["decode_words", "salvage_base64", "unescape"]

# =?charset*language?encoding?text?=  Spaces inside the text are forbidden and common.
_WORD = re.compile(r"=\?([^?\s*]{1,64})(?:\*[^?\s]{0,64})?\?([bBqQ])\?([^?]*)\?=")
_NO_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_PADDING = re.compile(rb"=+")


def unescape(raw: str) -> bytes:
    """The bytes of a header value as the standard library holds it: 8-bit bytes are surrogate escapes."""
    return raw.encode("utf-8", "surrogateescape")


def decode_words(raw: str, notes: Notes) -> str:
    """Decode the encoded words of a header value and the raw 8-bit text between them.

    Neighbours of one charset are decoded together: senders split multi-byte characters between words.
    """
    if "=?" not in raw:
        return _plain(raw, notes)
    pieces: list[str] = []
    pending = bytearray()
    charset: str | None = None
    position = 0
    for word in _WORD.finditer(raw):
        between = raw[position : word.start()]
        adjacent = bool(charset) and not between.strip()
        if charset is not None and (not adjacent or word[1].lower() != charset):
            pieces.append(decode_text(bytes(pending), charset, notes))
            pending.clear()
        if not adjacent:
            pieces.append(_plain(between, notes))
        charset = word[1].lower()
        pending += _word_bytes(word[2], word[3])
        position = word.end()
    if charset is not None:
        pieces.append(decode_text(bytes(pending), charset, notes))
    pieces.append(_plain(raw[position:], notes))
    return "".join(pieces)


def _plain(raw: str, notes: Notes) -> str:
    return raw if raw.isascii() else decode_text(unescape(raw), None, notes)


def _word_bytes(encoding: str, text: str) -> bytes:
    data = unescape(text)
    if encoding in "qQ":
        return binascii.a2b_qp(data.replace(b"_", b" "), header=False)
    return salvage_base64(data)


def salvage_base64(data: bytes) -> bytes:
    """What damaged base64 still holds: foreign characters skipped, padding made up; padding ends a run, another may follow."""
    runs = (_NO_BASE64.sub(b"", run) for run in _PADDING.split(data))
    return b"".join(map(_decoded_run, runs))


def _decoded_run(run: bytes) -> bytes:
    usable = run[:-1] if len(run) % 4 == 1 else run
    return binascii.a2b_base64(usable + b"=" * (-len(usable) % 4))
