"""An mbox or a file of JSON lines, one item at a time: however large the file, memory holds one item."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

__all__ = ["TooLong", "split_lines", "split_mbox"]

_PIECE = 64 * 1024  # bytes read at once of a line that does not end
# A separator names a time; "From what I hear" in a body that nobody quoted does not.
_SEPARATOR = re.compile(rb"From \S.*\d\d?:\d\d")
_QUOTED = re.compile(rb">+From ")


@dataclass(frozen=True, slots=True)
class TooLong:
    """An item above the limit, which was read over."""

    size: int  # bytes


@dataclass
class _Item:
    limit: int
    size: int = 0
    pieces: list[bytes] = field(default_factory=list)

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size > self.limit:
            self.pieces.clear()
        else:
            self.pieces.append(piece)

    def value(self) -> bytes | TooLong:
        return TooLong(self.size) if self.size > self.limit else b"".join(self.pieces)


def split_mbox(stream: BinaryIO, limit: int) -> Iterator[bytes | TooLong]:
    """The mails of an mbox (mboxo or mboxrd), without separators and with quoted `From ` lines as they were."""
    item: _Item | None = None
    line_starts, after_blank = True, True
    while piece := stream.readline(_PIECE):
        if line_starts and after_blank and (item is None or _SEPARATOR.match(piece)) and piece.startswith(b"From "):
            if item is not None:
                yield _without_last_blank(item.value())
            item = _Item(limit)
        elif item is not None or piece.strip():
            item = item or _Item(limit)  # mail before the first separator: for ingest to judge
            item.add(piece[1:] if line_starts and _QUOTED.match(piece) else piece)
        after_blank = line_starts and piece in {b"\n", b"\r\n"}
        line_starts = piece.endswith(b"\n")
    if item is not None:
        yield _without_last_blank(item.value())


def split_lines(stream: BinaryIO, limit: int) -> Iterator[bytes | TooLong]:
    """The lines of a stream, without their ends; empty ones too, so that they can be counted."""
    item = _Item(limit)
    while piece := stream.readline(_PIECE):
        item.add(piece)
        if piece.endswith(b"\n"):
            yield _stripped(item.value())
            item = _Item(limit)
    if item.size:
        yield _stripped(item.value())


def _without_last_blank(value: bytes | TooLong) -> bytes | TooLong:
    """The blank line before the next separator belongs to the format."""
    if isinstance(value, TooLong):
        return value
    return value[:-2] if value.endswith(b"\n\r\n") else value[:-1] if value.endswith(b"\n\n") else value


def _stripped(value: bytes | TooLong) -> bytes | TooLong:
    return value if isinstance(value, TooLong) else value.strip()
