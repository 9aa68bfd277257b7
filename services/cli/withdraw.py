"""`mailweir feedback withdraw` and `receipt`: take back all that a person said, and show that nothing was learned from it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailweir.schemas.errors import SetupError
from mailweir.schemas.events import utc_now
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.models_registry import Json, Place
from mailweir.services.cli.output import complain, console, emit
from mailweir.services.cli.words import person_id, word_record

if TYPE_CHECKING:
    from mailweir.services.feedback.holdings import Holdings
    from mailweir.services.feedback.receipt import Receipt
    from mailweir.services.settings import Settings

__all__ = ["receipt", "withdraw"]

_LOOK_SECONDS = 0.5
_AT_ONCE = 500  # withdrawals written before the next are made

Person = Annotated[
    str, typer.Option(metavar="ID", help="Opaque id of the person, as in the feedback.", callback=person_id)
]
Ledger = Annotated[
    str | None, typer.Option(metavar="URI", help="Folder or object store of the ledger; else that of the settings.")
]


def withdraw(
    *,
    person: Person,
    why: Annotated[str, typer.Option(metavar="TEXT", help="The reason, kept with the run.")] = "asked for",
    by: Annotated[
        str,
        typer.Option(metavar="ID", help="Opaque id of who withdraws in the person's name.", callback=person_id),
    ] = "operator",
    wait: Annotated[float, typer.Option(min=0, help="Seconds for the feedback agent to keep the withdrawals.")] = 60.0,
    ledger: Ledger = None,
    registry: Place = None,
    as_json: Json = False,
) -> None:
    r"""Withdraw every word of a person: none is learned from again, and a bundle that learned from one is trained anew.

    Sends one withdrawal for each word onto mail.feedback, waits until the feedback agent has kept them and closed their
    shards, names the shards and bundles that hold words of the person, and asks for a run that continues the latest champion
    without them. Repeat it as often as you like: what is done is not done again. Words that are on mail.feedback and not yet
    in the ledger are not seen; repeat it later for these. The text of the rows stays in ledger and shards, whose hashes name it.
    Needs [bold]pip install 'mailweir\[feedback]'[/]; on a cluster with permissions, those of client and of trainer.

    [bold]mailweir feedback withdraw --person u-17 --why "left the company"[/]

    Exit codes: 0 withdrawn, and a run is asked for where one is due; 1 nobody has that id, or something is left to do, as said;
    2 no broker, no topic, no ledger, or a broken bundle.
    """
    settings, held = _look(person, ledger, registry)
    if sent := asyncio.run(_send(settings, held, by, why)):
        console(errors=True).print(f"{sent} withdrawals sent")
    held = _wait_for_shards(settings, held, wait)
    made = _receipt(settings, held)
    rebuild = _rebuild(settings, made, why, by)
    if as_json:
        emit(made.json() | {"sent": sent, "rebuild": rebuild})
    else:
        _print(made)
        console().print(f"rebuild   {rebuild['told']}", markup=False, soft_wrap=True)
    if not rebuild["settled"]:
        raise typer.Exit(1)


def receipt(*, person: Person, ledger: Ledger = None, registry: Place = None, as_json: Json = False) -> None:
    r"""Tell what is withdrawn of a person's words, and whether the champion was trained without them.

    Names each word with its withdrawal, each file of the ledger and each shard that holds rows of the person, and each bundle,
    all with their SHA-256; with --json all of it and the hash of the whole. A bundle is without the words where its manifest lists
    the rows that it was fitted on (data.fitted_rows) and none is of the person, and so does what it continues. Needs no broker, but [bold]pip install 'mailweir\[feedback]'[/].

    [bold]mailweir feedback receipt --person u-17 --json[/]

    Exit codes: 0 all is withdrawn and the champion was trained without it; 1 it was not, or nobody has that id; 2 the ledger or
    the registry cannot be read.
    """
    settings, held = _look(person, ledger, registry)
    made = _receipt(settings, held)
    if as_json:
        emit(made.json())
    else:
        _print(made)
    if made.state != "done":
        raise typer.Exit(1)


def _look(person: str, ledger: str | None, registry: Path | None) -> tuple[Settings, Holdings]:
    """The settings and what the ledger holds of the person; ends with 1 where that is nothing."""
    settings = client_settings(ledger=ledger, registry=registry)
    held = _holdings(settings, person)
    if not held.words:
        complain(
            f"no word of {person} is in the ledger {held.uri}. Who is in it tells `mailweir feedback show`; what is on "
            f"{settings.topic_name('feedback')} comes into it with `mailweir worker feedback`"
        )
        raise typer.Exit(1)
    return settings, held


def _holdings(settings: Settings, person: str) -> Holdings:
    try:
        from mailweir.services.feedback.holdings import holdings
        from mailweir.services.feedback.store import Store
    except ImportError as error:
        raise SetupError(f"the ledger needs a package ({error}): pip install 'mailweir[feedback]'") from error
    return holdings(Store(settings.ledger), person)


async def _send(settings: Settings, held: Holdings, by: str, why: str) -> int:
    """Withdraw what is not withdrawn in the person's name yet; how many words that were.

    Onto the topic, not into the ledger: its files are named by the offsets of the topic and have one writer, the agent, on
    whose promises (nothing missing, nothing doubled, shards closed once) a second writer would break in.
    """
    from mailweir.schemas.topics import FEEDBACK
    from mailweir.services.feedback.holdings import withdrawals
    from mailweir.services.stream import KafkaBus
    from mailweir.services.topics import require

    words = withdrawals(held.open, by, why, utc_now())
    if not words:
        return 0
    await require(settings, (FEEDBACK,))
    sink = KafkaBus(settings).sink()
    await sink.start()
    try:
        for first in range(0, len(words), _AT_ONCE):
            await sink.send([word_record(settings, word, "client") for word in words[first : first + _AT_ONCE]])
    finally:
        await sink.stop()
    return len(words)


def _wait_for_shards(settings: Settings, held: Holdings, seconds: float) -> Holdings:
    """What the ledger holds once announced shards tell of every withdrawal, or once it is too late."""
    end = time.monotonic() + seconds
    if held.untold and seconds:
        line = (
            f"waiting up to {seconds:g} s until the feedback agent has kept the withdrawals of {len(held.untold)} words in {held.uri} and "
            "announced their shards; Ctrl-C ends the waiting, and nothing is lost by it"
        )
        console(errors=True).print(line, markup=False, soft_wrap=True)
    while held.untold and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)
        held = _holdings(settings, held.person)
    return held


def _receipt(settings: Settings, held: Holdings) -> Receipt:
    from mailweir.models.runtime import shipped_bundle
    from mailweir.services.feedback.receipt import Receipt
    from mailweir.services.feedback.unlearn import bundle_uses, known_bundles
    from mailweir.services.retrain.request import configured_registry

    known = known_bundles(configured_registry(settings), Path(settings.bundle or shipped_bundle()))
    return Receipt(held, known, bundle_uses(known, held))


def _rebuild(settings: Settings, made: Receipt, why: str, by: str) -> dict[str, Any]:
    """Ask for the run that is due, and tell what came of it."""
    again = f"then again: mailweir feedback withdraw --person {made.held.person}"
    if left := len(made.held.untold):
        told = f"not yet: the withdrawals of {left} words are in no shard. Is `mailweir worker feedback` running? Wait, {again}"
        return {"state": "waiting", "settled": False, "run_id": None, "told": told}
    if not made.due:
        return {
            "state": "not_needed",
            "settled": True,
            "run_id": None,
            "told": "none: no champion has learned from these words",
        }
    start = made.start
    if start is None:
        told = (
            f"no bundle without these words is known to continue: `mailweir train` makes one from the corpus, {again}"
        )
        return {"state": "no_start", "settled": False, "run_id": None, "told": told}
    return asyncio.run(_ask(settings, made, f"rebuild without {len(made.held.words)} withdrawn words: {why}", by))


async def _ask(settings: Settings, made: Receipt, why: str, by: str) -> dict[str, Any]:
    from mailweir.services.cli.retrain import ask, read_history

    running = (await read_history(settings)).open_run(utc_now())
    if running is not None:
        run_id, knows = running.request.run_id, made.answered_by(running.request)
        told = (
            f"run {run_id} goes on and is without these words"
            if knows
            else (
                f"run {run_id} goes on and may learn from these words: wait for its end (`mailweir retrain status`), then again: "
                f"mailweir feedback withdraw --person {made.held.person}"
            )
        )
        return {"state": "asked" if knows else "run_open", "settled": knows, "run_id": run_id, "told": told}
    verdict, request = await ask(settings, why, by, made.start)
    if request is None:
        return {"state": "refused", "settled": False, "run_id": None, "told": f"no run: {verdict.reason}"}
    told = f"run {request.run_id} asked for, continuing {made.start.version if made.start else 'the champion'}"
    return {"state": "asked", "settled": True, "run_id": request.run_id, "told": told}


def _print(made: Receipt) -> None:
    to, found = console(), made.json()
    back = sum(word["withdrawn_by"] is not None for word in found["words"])
    lines = [f"words     {len(found['words'])} of {made.held.person}, {back} withdrawn"]
    lines += [
        f"shard     {one['sha256'][:12]}  {one['words']} of {one['rows']} rows  {one['shard_id']}"
        for one in found["shards"]
    ]
    for one in found["bundles"]:
        verdict = "without these words" if one["without_them"] else one["why_not"]
        name = f"{one['model']} {one['version']}{' (champion)' if one['champion'] else ''}"
        lines.append(f"bundle    {one['manifest_sha256'][:12]}  {name}  {verdict}")
    lines.append(f"receipt   {found['sha256']}  {_STATES[made.state]}")
    for line in lines:
        to.print(line, markup=False, soft_wrap=True)


_STATES = {
    "done": "all withdrawn, and every champion was trained without them",
    "rebuild_due": "all withdrawn, a rebuild is due",
    "not_withdrawn": "not all withdrawn: mailweir feedback withdraw",
}
