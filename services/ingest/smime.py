"""The mail inside an S/MIME container that is signed and not encrypted (RFC 8551, RFC 5652 section 5). Nothing is verified."""

from __future__ import annotations

__all__ = ["signed_content"]

_DATA = bytes.fromhex("06092a864886f70d010701")  # the object identifier id-data, before the content of SignedData
_SIGNED = bytes.fromhex("06092a864886f70d010702")  # … of SignedData itself
_EXPLICIT = 0xA0
_STRING = 0x04
_CHUNKED_STRING = 0x24
_MAX_DEPTH = 8  # chunks inside chunks


def signed_content(container: bytes) -> bytes | None:
    """The MIME entity that is signed; None if the container holds none or another kind of content."""
    if _SIGNED not in container[:64]:
        return None
    at = container.find(_DATA)
    if at < 0:
        return None
    try:
        tag, start, end = _element(container, at + len(_DATA))
        found = _string(container, start, end, 0) if tag == _EXPLICIT else b""
    except (IndexError, ValueError):
        return None
    return found or None


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """Tag, first byte of the value and byte after it; an indefinite length reaches to the end of the data."""
    tag, length = data[at], data[at + 1]
    start = at + 2
    if length == 0x80:
        return tag, start, len(data)
    if length > 0x80:
        size = length - 0x80
        length = int.from_bytes(data[start : start + size], "big")
        start += size
    return tag, start, min(start + length, len(data))


def _string(data: bytes, at: int, end: int, depth: int) -> bytes:
    """An octet string, its chunks joined; two zero bytes end one of indefinite length."""
    if depth > _MAX_DEPTH:
        raise ValueError("chunks nest too deep")
    pieces: list[bytes] = []
    while at < end and data[at] in {_STRING, _CHUNKED_STRING}:
        tag, start, stop = _element(data, at)
        pieces.append(data[start:stop] if tag == _STRING else _string(data, start, stop, depth + 1))
        at = stop
    return b"".join(pieces)
