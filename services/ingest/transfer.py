"""Transfer encodings (RFC 2045 section 6) and their damage."""

from __future__ import annotations

import binascii
import re

from mailweir.services.ingest.notes import Notes
from mailweir.services.ingest.tree import PARSER_FAULTS, Part
from mailweir.services.ingest.words import salvage_base64

__all__ = ["content", "encoding"]

_FOREIGN = re.compile(rb"[^A-Za-z0-9+/=\r\n\t ]")
_BASE64_LINE = re.compile(rb"[A-Za-z0-9+/]+={0,2}\s*")
_UU = frozenset({"x-uuencode", "uuencode", "uue", "x-uue"})


def encoding(part: Part) -> str:
    """The transfer encoding in lower case, without comments and what else follows it."""
    words = str(part.get("content-transfer-encoding", "")).lower().replace(";", " ").split()
    return words[0].strip("\"'") if words else ""


def content(part: Part, notes: Notes) -> bytes:
    """The bytes of a leaf after transfer decoding; what cannot be decoded comes as it is."""
    name = encoding(part)
    if name == "base64":
        return _base64(part.raw, notes)
    if name in {"quoted-printable", "quoted_printable"}:
        return binascii.a2b_qp(part.raw)
    return _uuencoded(part) if name in _UU else part.raw


def _base64(raw: bytes, notes: Notes) -> bytes:
    compact = raw.translate(None, b"\r\n\t ")
    try:
        return binascii.a2b_base64(compact, strict_mode=True)
    except binascii.Error:
        notes.add("base64_repaired")
        return _salvaged(raw)


def _salvaged(raw: bytes) -> bytes:
    """Leading lines of base64 decoded, the text behind them (a list's footer) appended; all of it if none is base64."""
    lines = raw.strip().splitlines(keepends=True)
    good = 0
    while good < len(lines) and _is_base64(lines[good]):
        good += 1
    rest = b"".join(lines[good:])
    if not good:
        return raw
    decoded = salvage_base64(b"".join(lines[:good]))
    return decoded + (b"\n" + rest if rest.strip() else b"")


def _is_base64(line: bytes) -> bool:
    """Whole lines of the alphabet, or nearly whole ones without a space inside."""
    if _BASE64_LINE.fullmatch(line) or not line.strip():
        return True
    return b" " not in line.strip() and len(_FOREIGN.findall(line)) * 10 <= len(line)


def _uuencoded(part: Part) -> bytes:
    try:
        decoded = part.get_payload(decode=True)
    except PARSER_FAULTS:
        return part.raw
    return decoded if isinstance(decoded, bytes) else part.raw
