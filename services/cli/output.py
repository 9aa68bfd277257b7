"""What people and scripts see: tables that grow row by row, JSON lines, progress, one line for an error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import orjson
from rich.console import Console
from rich.progress import (
    BarColumn,
    FileSizeColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

__all__ = ["Column", "Rows", "complain", "console", "discard_output", "emit", "file_size", "plain", "progress"]

_PIPED_WIDTH = 140  # columns of a table that goes into a file or a pipe
_GAP = 1  # blanks between two columns
_INDENT = "  "  # of what stands below a row

Advance = Callable[[int, int], None]
"""Called with mails and bytes done since the last call."""


def console(*, errors: bool = False) -> Console:
    """Where people read: standard output, or standard error for what is not the answer."""
    made = Console(stderr=errors, highlight=False)
    return made if made.is_terminal else Console(stderr=errors, highlight=False, width=_PIPED_WIDTH)


def complain(message: str) -> None:
    """One line about what went wrong, on standard error."""
    sys.stderr.write(f"mailweir: {message}\n")
    sys.stderr.flush()


def emit(value: object) -> None:
    """One JSON line on standard output, at once; bytes are JSON already."""
    data = value if isinstance(value, bytes) else orjson.dumps(value)
    sys.stdout.write(data.decode() + "\n")
    sys.stdout.flush()


def discard_output() -> None:
    """Send what standard output still holds nowhere: it cannot be written, and Python would try again at the end and fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def plain(text: str) -> str:
    """Text from outside on one line, without anything that a terminal would obey."""
    return "".join(sign if sign.isprintable() else " " if sign in "\t\r\n" else "·" for sign in text)


def file_size(count: int) -> str:
    """A number of bytes for people."""
    if count < 1_000:
        return f"{count} B"
    return f"{count / 1_000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table whose rows are printed as they come."""

    title: str
    width: int  # characters; of a column that grows, its least
    rank: int = 0  # a narrow terminal loses the highest ranks first
    right: bool = False
    grows: bool = False  # takes the room that is left


class Rows:
    """A table without an end: a heading, then a line for each row as it comes."""

    def __init__(self, to: Console, columns: Sequence[Column]) -> None:
        self._to = to
        self._columns = _fit(columns, to.width)
        self.count = 0

    def add(self, cells: Mapping[str, str | Text], below: str = "") -> None:
        """Print a row; a cell is found by its column's title. `below` goes onto a line of its own, cut where the terminal ends."""
        if not self.count:
            self._print([Text(column.title, "bold") for column in self._columns])
        self.count += 1
        self._print([_text(cells[column.title]) for column in self._columns])
        if below:
            line = Text(f"{_INDENT}{plain(below)}", "dim", no_wrap=True)
            line.truncate(self._to.width, overflow="ellipsis")
            self._to.print(line)

    def _print(self, cells: Sequence[Text]) -> None:
        line = Text(no_wrap=True, overflow="crop")
        for column, cell in zip(self._columns, cells, strict=True):
            cell.truncate(column.width, overflow="ellipsis")
            room = " " * (column.width - cell.cell_len)
            line.append_text(Text(room) + cell if column.right else cell + Text(room))
            line.append(" " * _GAP)
        line.rstrip()
        self._to.print(line)


def _fit(columns: Sequence[Column], width: int) -> list[Column]:
    kept = list(columns)
    while len(kept) > 1 and _needed(kept) > width:
        kept.remove(max(kept, key=lambda column: column.rank))
    spare = max(width - _needed(kept), 0)
    return [replace(column, width=column.width + spare) if column.grows else column for column in kept]


def _needed(columns: Sequence[Column]) -> int:
    return sum(column.width + _GAP for column in columns) - _GAP


def _text(cell: str | Text) -> Text:
    return cell.copy() if isinstance(cell, Text) else Text(plain(cell))


@contextmanager
def progress(doing: str, total: int | None, *, rows_on_stdout: bool = False, sized: bool = True) -> Iterator[Advance]:
    """A bar on standard error while work goes on, if a person looks and has no rows on the same terminal to look at.

    `total` is in bytes, None if it is not known; with `sized` off nobody knows bytes and none are shown.
    """
    screen = console(errors=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description} {task.fields[mails]:,} mails"),
        BarColumn(),
        TaskProgressColumn(),
        *((FileSizeColumn(),) if sized else ()),
        TimeElapsedColumn(),
    )
    shown = screen.is_terminal and not (rows_on_stdout and sys.stdout.isatty())
    # standard output may be a file: rich must not take it along to the terminal
    with Progress(*columns, console=screen, disable=not shown, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(doing, total=total, mails=0)
        done = 0

        def advance(mails: int, size: int) -> None:
            nonlocal done
            done += mails
            bar.update(task, advance=size, mails=done)

        yield advance
