"""From what a user names to files: single mails, mboxes, Maildirs, JSON lines and folders of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from mailweir.schemas.errors import InputError

__all__ = ["STDIN", "Form", "Source", "check_paths", "form_of", "refuse_replacing", "sources", "total_bytes"]

STDIN = "-"

Form = Literal["mail", "mbox", "jsonl"]

_FORMS: dict[str, Form] = {".eml": "mail", ".mbox": "mbox", ".mbx": "mbox", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_SNIFFED = 1_024  # bytes that tell what a file without a known suffix is
_FIELD = re.compile(
    rb"[!-9;-~]{1,80}[ \t]*:"
)  # RFC 5322, 3.6.8: a header field begins with a printable name and a colon


@dataclass(frozen=True, slots=True)
class Source:
    """A file with mail in it."""

    path: Path
    form: Form | None  # None: its first bytes tell


def check_paths(paths: Sequence[str]) -> None:
    """Refuse a path that is not there before anything is done with the others.

    Raises:
        InputError: it names the path.
    """
    for name in paths:
        if name != STDIN and not Path(name).exists():
            raise InputError(f"{name}: no such file or folder", path=name)


def refuse_replacing(name: str, out: Path) -> None:
    """Refuse to write over a file that is read: a mailbox or a corpus would be lost.

    Raises:
        InputError: `out` is one of the files under the path `name`.
    """
    if out.exists() and any(out.samefile(source.path) for source in sources(name)):
        raise InputError(f"--out {out} is read from and would be lost: name another file", path=str(out))


def sources(name: str) -> Iterator[Source]:
    """The files under a path, in sorted order; hidden ones are left out."""
    path = Path(name)
    if path.is_dir():
        yield from _in_folder(path)
    else:
        yield Source(path, _FORMS.get(path.suffix.lower()))


def total_bytes(paths: Sequence[str]) -> int | None:
    """Bytes of all files; None with standard input among them."""
    if STDIN in paths:
        return None
    return sum(source.path.stat().st_size for name in paths for source in sources(name))


def form_of(source: Source, stream: BinaryIO) -> Form | None:
    """What a file is: by its suffix, else by its first bytes; None if it is nothing that we read."""
    return source.form or sniff(stream)


def sniff(stream: BinaryIO) -> Form | None:
    """What a stream is by its first bytes, which stay unread."""
    start = stream.peek(_SNIFFED)[:_SNIFFED]  # type: ignore[attr-defined]  # every buffered reader has it
    if start.startswith(b"From "):
        return "mbox"
    if start.lstrip().startswith(b"{"):
        return "jsonl"
    return "mail" if _FIELD.match(start) else None


def _in_folder(folder: Path) -> Iterator[Source]:
    is_maildir = _is_maildir(folder)
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from _in_subfolder(path, in_maildir=is_maildir)
        elif path.is_file() and not is_maildir and not path.name.startswith("."):
            yield Source(path, _FORMS.get(path.suffix.lower()))


def _in_subfolder(folder: Path, *, in_maildir: bool) -> Iterator[Source]:
    if in_maildir and folder.name in {"cur", "new"}:
        yield from (Source(path, "mail") for path in sorted(folder.iterdir()) if path.is_file())
    elif in_maildir and folder.name == "tmp":
        return  # half delivered
    elif not folder.name.startswith(".") or _is_maildir(folder):  # Maildir++ calls its folders .Sent, .Archive …
        yield from _in_folder(folder)


def _is_maildir(folder: Path) -> bool:
    return (folder / "cur").is_dir() and (folder / "new").is_dir()
