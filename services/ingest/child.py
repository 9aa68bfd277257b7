"""The parser process: reads mails from standard input, answers on standard output, ends with its input.

It keeps the limit of seconds by a timer whose signal ends the process, whatever code it is in; the parent starts another.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
from types import TracebackType
from typing import BinaryIO

from mailweir.schemas.errors import ParserCrashed, RecordError, Unexpected
from mailweir.services.ingest.limits import ParseLimits
from mailweir.services.ingest.parse import parse
from mailweir.services.ingest.raw import RawMail
from mailweir.services.ingest.wire import (
    HEADER,
    READY,
    decode_limits,
    decode_mail,
    encode_email,
    encode_error,
    frame,
)
from mailweir.services.lifeline import end_with

__all__ = ["main"]

_WARM_UP = b"From: a@example.org\nContent-Type: text/html\n\n<p>Warm up: the language model is read now.</p>\n"


def main() -> None:
    """Answer until the input ends."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    parent = os.getppid()
    _outlive_signals_not_parent(parent)
    limits = _limits(source)
    resource.setrlimit(resource.RLIMIT_AS, (limits.parser_memory_bytes, limits.parser_memory_bytes))
    parse(RawMail(_WARM_UP), limits)
    _write(sink, frame(READY))
    sys.excepthook = _Confession(sink)
    while payload := _read(source):
        _write(sink, _answer(payload, limits))


def _outlive_signals_not_parent(parent: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end_with(parent, signal.SIGKILL)()


def _limits(source: BinaryIO) -> ParseLimits:
    return decode_limits(_read(source))


def _answer(payload: bytes, limits: ParseLimits) -> bytes:
    mail = decode_mail(payload)
    signal.setitimer(signal.ITIMER_REAL, limits.parse_seconds)
    try:
        return encode_email(parse(mail, limits))
    except RecordError as error:
        return encode_error(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _read(source: BinaryIO) -> bytes:
    """The next frame; empty at the end of the input."""
    header = source.read(HEADER.size)
    return source.read(HEADER.unpack(header)[0]) if len(header) == HEADER.size else b""


def _write(sink: BinaryIO, data: bytes) -> None:
    sink.write(data)
    sink.flush()


class _Confession:
    """Last words of a process that a mail brought down by a defect of ours: what and where, never the text."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink

    def __call__(self, kind: type[BaseException], _: BaseException, trace: TracebackType | None) -> None:
        frames = traceback.extract_tb(trace)
        where = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "?"  # noqa: PTH119
        error: RecordError
        if issubclass(kind, MemoryError):
            error = ParserCrashed("parsing needs more memory than a parser process may have: report the mail")
        else:
            error = Unexpected(f"{kind.__name__} at {where} while parsing: report it", error=kind.__name__, where=where)
        _write(self._sink, encode_error(error))


if __name__ == "__main__":
    main()
