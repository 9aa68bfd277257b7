"""A Maildir or an mbox as a history: every mail parsed once, its row kept on disk, what the rules need kept in memory."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailweir.schemas.errors import RecordError
from mailweir.schemas.events import Email
from mailweir.schemas.taxonomy import installed_taxonomy
from mailweir.services.cli.reading import FoundMail, Skipped, read_mails
from mailweir.services.ingest.raw import RawMail
from mailweir.services.ingest.sandbox import ParserPool

__all__ = ["Read", "author_of", "corpus_row", "folder_of", "read_history"]

_BATCH = 32  # mails
_FLAGS = re.compile(r"[:!;]2,([A-Za-z]*)$")  # file systems without colons have other signs
_MAILDIR = {"cur", "new"}


@dataclass(frozen=True, slots=True)
class Read:
    """A mail with its place, or what could not be read."""

    email: Email | None
    folder: str | None  # None: a single file that says nothing
    flags: str | None  # None: no Maildir


async def read_history(path: Path, parsers: ParserPool, mailbox: str) -> AsyncIterator[list[Read]]:
    """The mails under `path`, batch by batch."""
    for batch in _batches(read_mails([str(path)]), _BATCH):
        found = [item for item in batch if isinstance(item, FoundMail)]
        raw = [RawMail(value=mail.value, mailbox=mailbox, content_type=mail.content_type) for mail in found]
        parsed = zip(found, await parsers.parse_all(raw), strict=True)
        read = [_read(mail, result, path) for mail, result in parsed]
        yield [*read, *(Read(None, None, None) for item in batch if isinstance(item, Skipped))]


def folder_of(origin: str, root: Path) -> tuple[str | None, str | None]:
    """Folder and flags of a mail below `root`, by what it is called: an mbox has no flags, a file alone no folder."""
    name, mark, _ = origin.rpartition("#")
    file = Path(name if mark else origin)
    if file == root:
        return None, None
    if mark:  # the third mail of an mbox is called mbox#3
        return _below(file, root), None
    if file.parent.name in _MAILDIR:
        flags = _FLAGS.search(file.name)
        return _below(file.parent.parent, root), flags[1] if flags else ""
    return _below(file.parent, root), None


def author_of(owner: str) -> str:
    """An opaque name of the owner that is the same in every run and for every mailbox."""
    return f"owner-{hashlib.sha256(f'mailweir history {owner.lower()}'.encode()).hexdigest()[:12]}"


def corpus_row(email: Email, author: str) -> dict[str, Any]:
    """The mail as a row of the corpus, nothing annotated yet."""
    return {
        "id": f"{author}-{email.email_id[:12]}",
        "author": author,
        "language": email.language.code,
        "subject": email.subject,
        "from": str(email.sender),
        "to": [str(address) for address in email.to],
        "date": email.date.isoformat() if email.date else "",
        "body": email.body,
        "mailbox": email.mailbox,
        "labels": dict.fromkeys(installed_taxonomy("email", 1).heads),
        "entities": None,
    }


def _read(mail: FoundMail, result: Email | RecordError, root: Path) -> Read:
    folder, flags = folder_of(mail.origin, root)
    return Read(result if isinstance(result, Email) else None, folder, flags)


def _below(path: Path, root: Path) -> str:
    found = path.relative_to(root).as_posix()
    return "" if found == "." else found


def _batches(items: Iterator[FoundMail | Skipped], size: int) -> Iterator[list[FoundMail | Skipped]]:
    while batch := list(itertools.islice(items, size)):
        yield batch
