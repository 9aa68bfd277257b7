"""`mailweir watch`: decisions as they come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from mailweir.schemas.errors import RecordError
from mailweir.schemas.events import Decision
from mailweir.schemas.topics import CLASSIFIED
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.output import Rows, complain, console, emit
from mailweir.services.cli.rows import decision_cells, decision_rows, first_sentence

if TYPE_CHECKING:
    from mailweir.services.settings import Settings
    from mailweir.services.stream import Record
    from mailweir.services.stream.tail import Tail

__all__ = ["Viewer", "watch"]


def watch(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="One Decision as JSON a line, as it is on the topic.")
    ] = False,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Everything that the topic holds, then what comes.")
    ] = False,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many decisions.")] = None,
    timeout: Annotated[float | None, typer.Option(min=0.1, help="End after so many seconds.")] = None,
) -> None:
    """Show decisions as they come onto mail.classified, and below each how its summary begins.

    Reads without a consumer group: nothing is committed and no other consumer notices.

    [bold]mailweir watch --json --count 10 --timeout 60[/]

    Exit codes: 0 after --count decisions, or after --timeout where no count was asked for; 1 if the time was over first
    or a record was no decision; 2 no broker or no topic.
    """
    viewer = Viewer(count, console_rows=None if as_json else decision_rows(console(), "mail", 12))
    settings = client_settings()
    try:
        asyncio.run(_follow(settings, viewer, timeout, from_beginning=from_beginning))
    except TimeoutError:
        viewer.time_is_over(timeout or 0)
    if viewer.unreadable:
        raise typer.Exit(1)


async def _follow(settings: Settings, viewer: Viewer, seconds: float | None, *, from_beginning: bool) -> None:
    from mailweir.services.cli.opening import open_topic

    async with open_topic(settings, CLASSIFIED) as tail:
        if not from_beginning:
            await tail.skip_to_end()
        complain(f"watching {tail.topic} from its {'beginning' if from_beginning else 'end'}; Ctrl-C ends")
        async with asyncio.timeout(seconds):
            await _show(tail, viewer)


async def _show(tail: Tail, viewer: Viewer) -> None:
    async for record in tail.new():
        viewer.show(record)
        if viewer.done:
            return


class Viewer:
    """Shows the decisions of records, as rows or as JSON lines, and counts them."""

    def __init__(self, wanted: int | None, console_rows: Rows | None) -> None:
        self._wanted = wanted
        self._rows = console_rows
        self.shown = 0
        self.unreadable = 0

    @property
    def done(self) -> bool:
        """True once as many were shown as were wanted."""
        return self._wanted is not None and self.shown >= self._wanted

    def show(self, record: Record) -> None:
        """Show what the record holds, or say on standard error that it is no decision."""
        try:
            decision = Decision.decode(record.value)
        except RecordError as error:
            self.unreadable += 1
            complain(f"{record.topic}[{record.partition}]@{record.offset}: {error.message}")
            return
        self.shown += 1
        if self._rows is None:
            emit(record.value)
        else:
            cells = {"mail": Text(decision.email_id[:12], "dim"), **decision_cells(decision)}
            self._rows.add(cells, below=first_sentence(decision))

    def time_is_over(self, seconds: float) -> None:
        """End the command with 1 if more decisions were wanted."""
        if self._wanted is not None:
            complain(f"{self.shown} of {self._wanted} decisions within {seconds:g} s")
            raise typer.Exit(1)
