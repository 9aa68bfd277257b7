"""Mails out of files, one at a time, each with what it is called; what cannot be one keeps its place with the cause."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from mailweir.schemas.errors import EmptyRecord, InputError, MailTooLarge, NotAMail, RecordError
from mailweir.schemas.events import JSON_MAIL, RFC822_MAIL, RawEmail
from mailweir.schemas.topics import MAX_MAIL_BYTES
from mailweir.services.cli.mbox import TooLong, split_lines, split_mbox
from mailweir.services.cli.output import file_size
from mailweir.services.cli.paths import STDIN, Form, Source, check_paths, form_of, sniff, sources

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["FoundMail", "Skipped", "read_mails"]

_NO_MAIL = "no mail found there: give .eml files, an mbox, a Maildir, .jsonl rows, or folders of them"


@dataclass(frozen=True, slots=True)
class FoundMail:
    """One mail."""

    origin: str  # file; `file#3` is the third mail of an mbox, `file:3` the row in line 3; `-` is standard input
    value: bytes  # RFC 822 bytes, or JSON of `row`
    row: RawEmail | None = None  # the mail, where it came as JSON
    input_id: str | None = None  # the row's id; the origin of a mail from a file, which has no id of its own

    @property
    def content_type(self) -> str:
        """Content type of the value."""
        return JSON_MAIL if self.row else RFC822_MAIL

    def mailbox(self, default: str) -> str:
        """Who received it: what the row says, else `default`."""
        return (self.row.mailbox if self.row else "") or default


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something in a mail's place that cannot be sent."""

    origin: str
    error: RecordError
    input_id: str | None = None


def read_mails(paths: Sequence[str], *, as_is: bool = False) -> Iterator[FoundMail | Skipped]:
    """All mails of these paths in order, and a skip for a path that has none; with `as_is` every file is one mail, whatever its bytes are.

    Raises:
        InputError: a path is not there or cannot be opened; nothing has been read then.
    """
    check_paths(paths)
    for name in paths:
        empty = True
        for item in _under(name, as_is=as_is):
            empty = False
            yield item
        if empty:
            yield Skipped(name, EmptyRecord(_NO_MAIL), name)


def _under(name: str, *, as_is: bool) -> Iterator[FoundMail | Skipped]:
    if name == STDIN:
        stream = sys.stdin.buffer
        yield from _items(name, stream, "mail" if as_is else sniff(stream) or "mail", as_is=as_is)
        return
    named = not Path(name).is_dir()
    for source in sources(name):
        yield from _in_file(source, as_is=as_is, named=named)


def _in_file(source: Source, *, as_is: bool, named: bool) -> Iterator[FoundMail | Skipped]:
    origin = str(source.path)
    try:
        with _opened(source.path) as stream:
            form = "mail" if as_is else form_of(source, stream)
            yield from _items(origin, stream, form, as_is=as_is)
    except OSError as error:
        if named:
            raise InputError(f"{origin}: {error.strerror}", path=origin) from error
        yield Skipped(origin, NotAMail(f"cannot be read: {error.strerror}"), origin)


@contextmanager
def _opened(path: Path) -> Generator[BinaryIO]:
    with path.open("rb") as stream:
        yield stream


def _items(origin: str, stream: BinaryIO, form: Form | None, *, as_is: bool) -> Iterator[FoundMail | Skipped]:
    if form == "mail":
        yield _mail(origin, _whole(stream), as_is=as_is)
    elif form == "mbox":
        for number, item in enumerate(split_mbox(stream, MAX_MAIL_BYTES), 1):
            yield _mail(f"{origin}#{number}", item)
    elif form == "jsonl":
        for number, line in enumerate(split_lines(stream, MAX_MAIL_BYTES), 1):
            if line:
                yield _row(f"{origin}:{number}", line)
    else:
        yield Skipped(
            origin, NotAMail("neither a mail, an mbox nor JSON lines; --as-is takes its bytes as a mail"), origin
        )


def _whole(stream: BinaryIO) -> bytes | TooLong:
    value = stream.read(MAX_MAIL_BYTES + 1)
    if len(value) <= MAX_MAIL_BYTES:
        return value
    size = len(value)
    while piece := stream.read(1 << 20):
        size += len(piece)
    return TooLong(size)


def _mail(origin: str, value: bytes | TooLong, *, as_is: bool = False) -> FoundMail | Skipped:
    input_id = None if origin == STDIN else origin
    if isinstance(value, TooLong):
        return Skipped(origin, _too_large(value), input_id)
    if not value and not as_is:
        return Skipped(origin, EmptyRecord("it is empty"), input_id)
    return FoundMail(origin, value, input_id=input_id)


def _row(origin: str, line: bytes | TooLong) -> FoundMail | Skipped:
    if isinstance(line, TooLong):
        return Skipped(origin, _too_large(line), origin)
    try:
        row = RawEmail.decode(line)
    except RecordError as error:
        return Skipped(origin, error, _id_of(line) or origin)
    value = row.encode()
    if len(value) > MAX_MAIL_BYTES:  # decoding and encoding may lengthen escapes
        return Skipped(origin, _too_large(TooLong(len(value))), row.id or origin)
    return FoundMail(origin, value, row, row.id)


def _id_of(line: bytes) -> str | None:
    """The id of a row that is no mail, so that its error can be found again."""
    try:
        row: Any = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    found = row.get("id") if isinstance(row, dict) else None
    return None if found is None else str(found)


def _too_large(item: TooLong) -> MailTooLarge:
    message = f"{file_size(item.size)}, more than the {file_size(MAX_MAIL_BYTES)} that one mail may have"
    return MailTooLarge(message, size=item.size)
