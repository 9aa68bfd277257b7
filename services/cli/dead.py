"""`mailweir dead`: what was rejected, why, and its bytes."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailweir.schemas.errors import InputError, RecordError
from mailweir.schemas.events import DeadLetter, original_headers
from mailweir.schemas.topics import DEAD
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.output import complain, console, emit, file_size, plain
from mailweir.services.cli.rows import dead_cells, dead_rows, local_time

if TYPE_CHECKING:
    from mailweir.services.settings import Settings
    from mailweir.services.stream import Record

__all__ = ["Dead", "app", "latest"]

_OMITTED = ", left out here: they did not fit; the original lies where 'from' says"
_SHOWN_BYTES = 2_000  # of a dead record, for a person to recognise it

app = typer.Typer(help="What was rejected: why, from where, and the original bytes.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="JSON for scripts.")]


@dataclass(frozen=True, slots=True)
class Dead:
    """A dead letter without its bytes."""

    partition: int  # of the dead letter itself
    offset: int
    letter: DeadLetter
    key: bytes | None
    size: int  # bytes of the original value

    @property
    def place(self) -> str:
        """How `dead show` is asked for it."""
        return f"{self.partition}:{self.offset}"

    def json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "place": self.place,
            "key": None if self.key is None else self.key.decode("utf-8", "replace"),
            "bytes": self.size,
            **self.letter.model_dump(mode="json"),
        }


@app.command("list")
def list_dead(
    *,
    as_json: Json = False,
    limit: Annotated[int, typer.Option(min=1, help="The latest so many.")] = 50,
) -> None:
    """List the latest dead letters, oldest first.

    The first column is the place to give to [bold]mailweir dead show[/].

    Exit codes: 0 listed, also when there is none; 1 a record on the topic is no dead letter; 2 no broker or no topic.
    """
    settings = client_settings()
    found, unreadable = asyncio.run(latest(settings, limit))
    rows = dead_rows(console(), "place")
    for dead in found:
        if as_json:
            emit(dead.json())
        else:
            rows.add({"place": dead.place, **dead_cells(dead.letter, dead.size)})
    if not found and not as_json:
        console().print(f"no dead letters on {settings.topic_name(DEAD.name)}")
    for problem in unreadable:
        complain(problem)
    if unreadable:
        raise typer.Exit(1)


@app.command()
def show(
    place: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="As `mailweir dead list` prints it.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for scripts; the value in base64.")] = False,
    raw: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the original bytes there, and nothing else with '-'.")
    ] = None,
) -> None:
    """Show one dead letter: its cause, its headers, its bytes.

    [bold]mailweir dead show 3:17 --raw mail.eml[/]

    Exit codes: 0 shown; 1 the record is no dead letter; 2 nothing lies there, no broker or no topic.
    """
    partition, offset = _parse(place)
    settings = client_settings()
    record = asyncio.run(_at(settings, partition, offset))
    if record is None:
        raise InputError(
            f"nothing at {place} on {settings.topic_name(DEAD.name)}; `mailweir dead list` shows what is there"
        )
    if raw is not None:
        _write(record.value, raw)
    if str(raw) == "-":
        return
    letter = DeadLetter.from_headers(record.headers)
    if as_json:
        emit(_json(record, letter))
    else:
        _print(record, letter)


async def latest(settings: Settings, limit: int) -> tuple[list[Dead], list[str]]:
    """The latest dead letters, oldest first, and what is on the topic but is none."""
    from mailweir.services.cli.opening import open_topic

    found, unreadable = [], []
    async with open_topic(settings, DEAD) as tail:
        async for record in tail.present(limit):
            try:
                letter = DeadLetter.from_headers(record.headers)
            except RecordError as error:
                unreadable.append(f"{record.topic}[{record.partition}]@{record.offset}: {error.message}")
                continue
            found.append(Dead(record.partition, record.offset, letter, record.key, _original_size(record, letter)))
    found.sort(key=lambda dead: (dead.letter.rejected_at, dead.partition, dead.offset))
    return found[-limit:], unreadable


async def _at(settings: Settings, partition: int, offset: int) -> Record | None:
    from mailweir.services.cli.opening import open_topic

    async with open_topic(settings, DEAD) as tail:
        return await tail.at(partition, offset)


def _parse(place: str) -> tuple[int, int]:
    partition, colon, offset = place.partition(":")
    if not (colon and partition.isdecimal() and offset.isdecimal()):
        raise InputError(f"{place} is no PARTITION:OFFSET such as 3:17", place=place)
    return int(partition), int(offset)


def _write(value: bytes, to: Path) -> None:
    if str(to) == "-":
        sys.stdout.buffer.write(value)
        sys.stdout.buffer.flush()
        return
    try:
        to.write_bytes(value)
    except OSError as error:
        raise InputError(f"{to}: {error.strerror}", path=str(to)) from error
    complain(f"{file_size(len(value))} written to {to}")


def _original_size(record: Record, letter: DeadLetter) -> int:
    return letter.omitted_bytes or len(record.value)


def _json(record: Record, letter: DeadLetter) -> dict[str, Any]:
    dead = Dead(record.partition, record.offset, letter, record.key, _original_size(record, letter))
    headers = [[name, value.decode("utf-8", "replace")] for name, value in original_headers(record.headers)]
    return dead.json() | {"headers": headers, "value_base64": base64.b64encode(record.value).decode()}


def _print(record: Record, letter: DeadLetter) -> None:
    to, source = console(), letter.source
    cause: Sequence[tuple[str, str]] = (
        ("code", letter.code),
        ("message", letter.message),
        ("stage", f"{letter.stage}, {letter.attempts} attempt{'s' if letter.attempts > 1 else ''}"),
        ("from", f"{source.topic}[{source.partition}]@{source.offset}"),
        ("rejected", local_time(letter.rejected_at)),
        ("trace", letter.trace_id or "-"),
        ("key", "-" if record.key is None else record.key.decode("utf-8", "replace")),
        *((f"header {name}", value.decode("utf-8", "replace")) for name, value in original_headers(record.headers)),
        ("bytes", file_size(_original_size(record, letter)) + (_OMITTED if letter.omitted_bytes else "")),
    )
    for name, value in cause:
        to.print(f"[bold]{name:<20}[/] ", end="")
        to.print(plain(value), markup=False, soft_wrap=True)
    shown = record.value[:_SHOWN_BYTES].decode("utf-8", "replace")
    to.print()
    for line in shown.splitlines():
        to.print(plain(line), markup=False, soft_wrap=True)
    if len(record.value) > _SHOWN_BYTES:
        to.print(f"… {file_size(len(record.value) - _SHOWN_BYTES)} more: --raw FILE writes all", style="dim")
