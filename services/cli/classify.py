"""`mailweir classify`: the whole pipeline without Kafka."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailweir.schemas.errors import RecordError
from mailweir.schemas.events import Decision
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.output import Rows, complain, console, emit, plain, progress
from mailweir.services.cli.paths import check_paths, total_bytes
from mailweir.services.cli.reading import FoundMail, Skipped, read_mails
from mailweir.services.cli.rows import UNSURE, decision_cells, decision_rows

if TYPE_CHECKING:
    from mailweir.services.cli.pipeline import Pipeline
    from mailweir.services.ingest.raw import RawMail

__all__ = ["classify"]

Item = FoundMail | Skipped
Outcome = Decision | RecordError

_BATCH = 32  # mails; more fill the model no better, fewer leave the parsers idle


def classify(
    paths: Annotated[list[str], typer.Argument(metavar="PATH… | -", help="Mails: see `mailweir send --help`.")],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="One Decision as JSON a line, in the order of the input.")
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Mails handed over at once.")] = _BATCH,
    bundle: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Another bundle than MAILWEIR_BUNDLE or the registry's champion.")
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Rules that decide before the model, as MAILWEIR_CLASSIFY_RULES."),
    ] = None,
    mailbox: Annotated[str, typer.Option(metavar="NAME", help="Who received the mails that do not say it.")] = "",
    as_is: Annotated[bool, typer.Option("--as-is", help="Every file is one mail, whatever its bytes are.")] = False,
) -> None:
    """Decide mails here and now, without Kafka.

    With --json each mail has its line: its Decision, with [bold]input_id[/] being the row's id, or the file's name for a
    mail from a file; or {"input_id": …, "error": {"code": …, "message": …}} where it was rejected; a rejected row without
    an id is named by its file and line.

    [bold]mailweir classify --json mails.jsonl > decisions.jsonl[/]

    Exit codes: 0 all decided; 1 at least one was rejected, or a path has no mail; 2 a path is not there, the bundle or the rules cannot be used.
    """
    check_paths(paths)
    settings = client_settings(bundle=bundle, classify_rules=rules)
    if bundle is not None:  # asked for by name: not the champion of the registry
        settings = settings.model_copy(update={"registry": None})
    show = _Json() if as_json else _Table()
    from mailweir.services.cli.pipeline import Pipeline

    with asyncio.Runner() as runner, progress("deciding", total_bytes(paths), rows_on_stdout=True) as advance:
        pipeline = Pipeline(settings)
        runner.run(pipeline.__aenter__())
        try:
            for batch in _batches(read_mails(paths, as_is=as_is), batch_size):
                for item, outcome in zip(batch, runner.run(_decide(pipeline, batch, mailbox)), strict=True):
                    show.add(item, outcome)
                advance(len(batch), sum(len(item.value) for item in batch if isinstance(item, FoundMail)))
        finally:
            runner.run(pipeline.__aexit__(None, None, None))
    show.end()
    if show.rejected:
        raise typer.Exit(1)


async def _decide(pipeline: Pipeline, batch: Sequence[Item], mailbox: str) -> list[Outcome]:
    """One outcome for each item, in order."""
    found = [item for item in batch if isinstance(item, FoundMail)]
    decided = iter(await pipeline.decide([_raw(mail, mailbox) for mail in found]))
    return [_named(next(decided), item) if isinstance(item, FoundMail) else item.error for item in batch]


def _raw(mail: FoundMail, mailbox: str) -> RawMail:
    from mailweir.services.ingest.raw import RawMail

    return RawMail(value=mail.value, mailbox=mail.mailbox(mailbox), content_type=mail.content_type)


def _named(outcome: Outcome, mail: FoundMail) -> Outcome:
    """A mail from a file has no id of its own: its file's name takes the place."""
    return outcome.model_copy(update={"input_id": mail.input_id}) if isinstance(outcome, Decision) else outcome


def _batches(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while batch := list(itertools.islice(items, size)):
        yield batch


class _Json:
    """For scripts."""

    def __init__(self) -> None:
        self.rejected = 0

    def add(self, item: Item, outcome: Outcome) -> None:
        if isinstance(outcome, Decision):
            emit(outcome.encode())
            return
        self.rejected += 1
        emit({"input_id": item.input_id, "error": {"code": outcome.code, "message": outcome.message}})

    def end(self) -> None:
        if self.rejected:
            complain(f"{self.rejected} rejected: their lines have an error")


class _Table:
    """For people."""

    def __init__(self) -> None:
        self.rejected = 0
        self._rows: Rows = decision_rows(console(), "mail")

    def add(self, item: Item, outcome: Outcome) -> None:
        if isinstance(outcome, Decision):
            self._rows.add({"mail": _short(item), **decision_cells(outcome)})
            return
        self.rejected += 1
        complain(f"{plain(item.origin)}: {outcome.code}: {outcome.message}")

    def end(self) -> None:
        if self._rows.count:
            console(errors=True).print(UNSURE, style="dim")


def _short(item: Item) -> str:
    """A row's id, or the last part of a file's name, which is the one that differs."""
    return (item.input_id or item.origin).rpartition("/")[2]
