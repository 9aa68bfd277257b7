"""`mailweir feedback`: say what a decision should have been, and look at what the ledger holds of it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from mailweir.schemas.errors import InputError, RecordError
from mailweir.schemas.events import Coordinates, Decision, Feedback, Origin
from mailweir.schemas.topics import CLASSIFIED, FEEDBACK
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.output import emit
from mailweir.services.cli.words import person_id, word_about, word_record

if TYPE_CHECKING:
    from mailweir.services.settings import Settings
    from mailweir.services.stream import Bus

__all__ = ["app"]

app = typer.Typer(help="Correct decisions, and see what became of it.", no_args_is_help=True)


@app.command()
def send(
    decision: Annotated[
        str, typer.Argument(metavar="DECISION.json | -", help="A decision as consumed, or - for standard input.")
    ],
    *,
    person: Annotated[str, typer.Option(metavar="ID", help="Opaque id of who says it.", callback=person_id)],
    head: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HEAD=LABEL", help="The right label of a head; again for each. HEAD alone: right as it is."
        ),
    ] = None,
    next_action: Annotated[
        list[str] | None, typer.Option(metavar="LABEL", help="One of the right next actions; again for each.")
    ] = None,
    origin: Annotated[str, typer.Option(help="human, rule or implicit.")] = "human",
    at: Annotated[
        str | None,
        typer.Option(
            metavar="PARTITION:OFFSET",
            help="Where the decision was read: spares the agent a search. It is looked at before anything is sent.",
        ),
    ] = None,
    withdraws: Annotated[str | None, typer.Option(metavar="ID", help="Takes an earlier feedback back.")] = None,
) -> None:
    """Send a correction of a decision onto mail.feedback.

    Prints the feedback as JSON with its id, which a withdrawal names. A person's last word about a decision counts.

    [bold]mailweir watch --json --from-beginning --count 1 | mailweir feedback send - --person u-17 --head category=work[/]

    Exit codes: 0 sent; 1 the broker went away; 2 the decision cannot be read or is not where --at says, a label is unknown, no
    broker or no topic.
    """
    if not (head or next_action or withdraws):  # it would be the last word, and take the one before from the model
        raise InputError("nothing is said: give --head HEAD=LABEL, --next-action LABEL or --withdraws ID")
    settings = client_settings()
    try:
        about = Decision.decode(_read(decision))
        source = None if at is None else _place(at, settings.topic_name(CLASSIFIED.name))
        said = word_about(about, person, head or (), tuple(next_action) if next_action else None, _origin(origin))
        word = Feedback.model_validate(said.model_dump() | {"decision_source": source, "withdraws": withdraws})
    except RecordError as error:
        raise InputError(f"{decision}: {error.message}") from error
    except ValidationError as error:
        options = ", ".join(f"--{item['loc'][0]}" for item in error.errors())
        raise InputError(f"{options} has a value that cannot be: {error.errors()[0]['msg']}") from error
    asyncio.run(_publish(settings, word))
    emit({"feedback_id": word.event_id, **word.model_dump(mode="json")})


@app.command()
def show(
    *,
    ledger: Annotated[
        str | None, typer.Option(metavar="URI", help="Folder or object store; else that of the settings.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="The latest so many rows.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for scripts.")] = False,
) -> None:
    r"""Show what the ledger holds: counts and the latest rows, without any text of a mail.

    Needs [bold]pip install 'mailweir\[feedback]'[/].

    Exit codes: 0 shown, also where nothing is there yet; 1 the ledger cannot be reached; 2 a file in it is no part of it.
    """
    from mailweir.schemas.errors import SetupError

    try:
        from mailweir.services.cli.ledger_view import look, print_view
    except ImportError as error:
        raise SetupError(f"the ledger needs a package ({error}): pip install 'mailweir[feedback]'") from error
    view = look(client_settings(ledger=ledger).ledger, limit)
    if as_json:
        emit(view.json())
    else:
        print_view(view)


def _origin(said: str) -> Origin:
    if said not in ("human", "rule", "implicit"):
        raise InputError(f"--origin is human, rule or implicit, not {said}")
    return said  # type: ignore[return-value]


def _place(said: str, topic: str) -> Coordinates:
    partition, colon, offset = said.partition(":")
    if not (colon and partition.isdecimal() and offset.isdecimal()):
        raise InputError(f"{said} is no PARTITION:OFFSET such as 3:17", place=said)
    return Coordinates(topic=topic, partition=int(partition), offset=int(offset))


def _read(source: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise InputError(f"{source}: {error.strerror}", path=source) from error


async def _look(settings: Settings, bus: Bus, word: Feedback) -> None:
    """A wrong place is said here, where it was typed: the agent would make a dead letter of it, which its sender never sees."""
    from mailweir.services.feedback.find import decision_at

    place = word.decision_source
    if place is None:
        return
    lookup = bus.lookup()
    try:
        found = await lookup.at([place], settings.feedback_find_ms)
    finally:
        await lookup.stop()
    try:
        decision_at(word, place, found.get(place))
    except RecordError as error:
        message = (
            f"--at {place.partition}:{place.offset}: {error.message}. Nothing was sent; without --at it is searched for"
        )
        raise InputError(message) from error


async def _publish(settings: Settings, word: Feedback) -> None:
    from mailweir.services.stream import KafkaBus
    from mailweir.services.topics import require

    await require(settings, (FEEDBACK,) if word.decision_source is None else (FEEDBACK, CLASSIFIED))
    bus = KafkaBus(settings)
    await _look(settings, bus, word)
    sink = bus.sink()
    await sink.start()
    try:
        await sink.send([word_record(settings, word, "client")])
    finally:
        await sink.stop()
