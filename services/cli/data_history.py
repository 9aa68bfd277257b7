"""`mailweir data label-history`: action labels from what the owner of a mailbox did."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import orjson
import typer

from mailweir.schemas.errors import InputError, SetupError
from mailweir.schemas.events import Email
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.output import progress
from mailweir.services.cli.paths import check_paths, refuse_replacing, total_bytes

if TYPE_CHECKING:
    from mailweir.models.training.data import Judged, Mail
    from mailweir.services.cli.history import Read
    from mailweir.services.settings import Settings

__all__ = ["label_history"]


def label_history(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A Maildir, an mbox, or a folder of these.")],
    *,
    owner: Annotated[
        list[str], typer.Option(metavar="ADDRESS", help="The owner's address; again for each other one. Needed.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The rows, JSON lines; replaced if it is there.")],
    mailbox: Annotated[str, typer.Option(metavar="NAME", help="Who received the mails.")] = "personal",
) -> None:
    r"""Label received mails with what their owner did: answer, pass on, file, throw away.

    reply_now: answered within the hour; reply_later: within two weeks; forward: sent on to others, or marked so; archive: read and
    filed; delete: in the trash. The last two only where the history has sent mail or marks of answers. Null is what is not known:
    left in the inbox, filed unread, junk. All other labels are null, entities too. Answers are found by In-Reply-To and
    References, never by subject. The author is a hash of the first address. Needs [bold]pip install 'mailweir\[train]'[/].

    [bold]mailweir data label-history ~/Maildir --owner me@example.org --out mine.jsonl[/]

    Exit codes: 0 written; 2 the path is not there, has no mail, or the file cannot be written or is one that is read.
    """
    settings = client_settings()
    check_paths([str(path)])
    refuse_replacing(str(path), out)
    if wrong := [address for address in owner if "@" not in address]:
        raise InputError(f"--owner {wrong[0]}: no address: give one as in the mails, like me@example.org")
    try:
        with tempfile.TemporaryFile("w+b") as spool:
            history = _History(owner, spool)
            asyncio.run(_read(settings, path, mailbox, history))
            reasons = history.write(out)
    except ImportError as error:
        raise SetupError(f"the rules need a package ({error}): pip install 'mailweir[train]'") from error
    except OSError as error:
        raise InputError(f"{error.filename or out}: {error.strerror}", path=str(out)) from error
    _tell(out, reasons, history)


class _History:
    """Mails of one owner as they are read; the received ones' rows wait on disk until all is known."""

    def __init__(self, owner: Sequence[str], spool: IO[bytes]) -> None:
        from mailweir.services.cli.history import author_of

        self.unreadable = 0
        self.others = 0  # mails in a folder of sent mail by an address that was not named
        self._owner = frozenset(address.lower() for address in owner)
        self._author = author_of(owner[0])
        self._spool = spool
        self._mails: list[Mail] = []
        self._keys: set[str] = set()

    def add(self, read: Read) -> None:
        """One mail more."""
        from mailweir.services.cli.history import corpus_row

        if read.email is None:
            self.unreadable += 1
            return
        mail = self._mail(read.email, read)
        self._mails.append(mail)
        if mail.place.kind == "sent" and not mail.sent:
            self.others += 1
        if mail.key not in self._keys:
            self._keys.add(mail.key)
            self._spool.write(orjson.dumps([mail.key, corpus_row(read.email, self._author)]) + b"\n")

    def write(self, out: Path) -> Counter[tuple[str, str]]:
        """Write the rows with their labels; how many there are per action and reason."""
        from mailweir.models.training.data import judge

        if not self._mails:
            raise InputError("no mail found there: give a Maildir, an mbox, or a folder of these")
        judged, found = judge(self._mails), Counter[tuple[str, str]]()
        fresh = out.with_name(f"{out.name}.new")
        self._spool.seek(0)
        with fresh.open("wb") as stream:
            for line in self._spool:
                key, row = orjson.loads(line)
                if key not in judged:  # sent, or a draft
                    continue
                found[judged[key].action or "", judged[key].why] += 1
                stream.write(orjson.dumps(_labelled(row, judged[key])) + b"\n")
        fresh.replace(out)
        return found

    def _mail(self, email: Email, read: Read) -> Mail:
        from mailweir.models.training.data import Mail, place_of

        recipients = frozenset(a.address.lower() for a in (*email.to, *email.cc)) - self._owner
        authors = frozenset(a.address.lower() for a in (email.sender, *email.reply_to)) - self._owner
        return Mail(
            key=_key(email),
            message_id=email.message_id,
            parent=email.in_reply_to or next(reversed(email.references), None),
            people=(recipients | authors) - {""},
            recipients=recipients - {""},
            sent=email.sender.address.lower() in self._owner,
            date=email.date,
            place=place_of(read.folder, read.flags),
        )


async def _read(settings: Settings, path: Path, mailbox: str, history: _History) -> None:
    from mailweir.services.cli.history import read_history
    from mailweir.services.ingest.limits import limits_of
    from mailweir.services.ingest.sandbox import ParserPool

    with progress("reading", total_bytes([str(path)])) as advance:
        async with ParserPool(limits_of(settings)) as parsers:
            async for batch in read_history(path, parsers, mailbox):
                for read in batch:
                    history.add(read)
                advance(len(batch), 0)


def _key(email: Email) -> str:
    """The same for copies of a mail in several folders."""
    return hashlib.sha256((email.message_id or email.email_id).encode()).hexdigest()


def _labelled(row: dict[str, Any], judged: Judged) -> dict[str, Any]:
    return row | {"labels": row["labels"] | {"action": judged.action}}


def _tell(out: Path, reasons: Counter[tuple[str, str]], history: _History) -> None:
    known = sum(count for (action, _), count in reasons.items() if action)
    typer.echo(f"{reasons.total():,} received mails written to {out}, the action of {known:,} is known")
    for (action, why), count in sorted(reasons.items(), key=lambda one: (-one[1], one[0])):
        typer.echo(f"  {count:7,} {action or 'unknown':12} {why}")
    if history.unreadable:
        typer.echo(f"{history.unreadable:,} mails could not be read and were left out", err=True)
    if history.others:
        message = (
            f"{history.others:,} mails in a folder of sent mail are by other addresses: name these with --owner too"
        )
        typer.echo(message, err=True)
