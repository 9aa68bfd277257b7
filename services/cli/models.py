"""`mailweir models`: what changes the registry: keys, versions, the champion."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailweir.schemas.errors import InputError, MailweirError
from mailweir.schemas.events import ModelRef
from mailweir.schemas.topics import MODELS
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.models_registry import By, Json, Model, Place, champion_version, open_registry, who
from mailweir.services.cli.models_repair import repair_after
from mailweir.services.cli.output import complain, emit

if TYPE_CHECKING:
    from mailweir.models.registry import Promotion, Registry
    from mailweir.services.settings import Settings

__all__ = ["app"]

app = typer.Typer(
    help="The registry of models: add and sign bundles, promote one to champion, roll back, compare.",
    no_args_is_help=True,
)

Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, kept in the history.")]
Expected = Annotated[
    str | None,
    typer.Option(
        "--expect",
        metavar="VERSION",
        help="The champion that is replaced; if it is another by now, nothing happens. `none` for the first. "
        "Else the one that is there as the command starts.",
        show_default=False,
    ),
]
Announce = Annotated[
    bool | None,
    typer.Option(
        "--announce/--no-announce",
        help="Tell mail.models; else only where MAILWEIR_KAFKA_BOOTSTRAP is set. Workers need no telling.",
        show_default=False,
    ),
]


@app.command()
def keygen(
    private: Annotated[Path, typer.Argument(metavar="FILE", help="The private key; the public one is FILE.pub.")],
) -> None:
    """Make the key pair that bundles are signed with.

    The private key (ed25519, PEM, mode 0600, no password) stays with whoever adds bundles; every worker gets the public one as
    MAILWEIR_MODELS_PUBLIC_KEY and then serves signed bundles only. Neither is printed.

    [bold]mailweir models keygen ~/.mailweir-models[/]

    Exit codes: 0 made; 2 a file is there already or cannot be written.
    """
    from mailweir.models.registry import key_id, make_keys

    public, key = make_keys(private)
    typer.echo(f"{private}: private key, for `mailweir models add --key`")
    typer.echo(f"{public}: public key {key_id(key)}, for MAILWEIR_MODELS_PUBLIC_KEY")


@app.command()
def add(
    bundle: Annotated[Path, typer.Argument(metavar="DIR", help="A trained bundle, as `mailweir train` writes it.")],
    *,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Sign it with this private key.")] = None,
    registry: Place = None,
    as_json: Json = False,
) -> None:
    """Take a trained bundle into the registry, under the version that its manifest names.

    Every hash is checked and the bundle is loaded once before it is there; a broken one leaves nothing behind. A version never
    changes; the same bundle again is no error, and with --key it is signed then. Workers go on as they are: see promote.

    [bold]mailweir models add build/bundle --key ~/.mailweir-models[/]

    Exit codes: 0 it is there; 2 the bundle is broken, its version is another bundle's, or a path cannot be used.
    """
    from mailweir.models.registry import read_private

    opened = open_registry(client_settings(registry=registry))
    entry, new = opened.add(bundle, read_private(key) if key else None)
    model, signed = entry.model, entry.signature.key_id if entry.signature else None
    if as_json:
        found = {"model": model.name, "version": model.version, "folder": str(entry.folder)}
        emit(found | {"signed_by": signed, "new": new})
        return
    by = f"signed by {signed}" if signed else "not signed"
    typer.echo(f"{'added' if new else 'was there already:'} {model.name} {model.version} ({by}) in {entry.folder}")


@app.command()
def promote(  # noqa: PLR0913 - typer: the parameters are the options
    version: Annotated[str, typer.Argument(metavar="VERSION", help="As `mailweir models list` names it.")],
    *,
    why: Why,
    expect: Expected = None,
    by: By = None,
    model: Model = "email",
    announce: Announce = None,
    registry: Place = None,
    as_json: Json = False,
) -> None:
    """Make a version the champion: every worker on this registry verifies, loads and serves it within seconds.

    Of two promotions that expect the same champion one happens; the other is told who was faster.

    [bold]mailweir models promote 1.4f0c2d9a11 --expect 1.a91be2c744 --why "better on Turkish complaints"[/]

    Exit codes: 0 promoted; 1 the champion is another than expected, or promoted but not announced; 2 no such version, it is
    broken or not signed, it is the champion already, or no registry.
    """
    settings = client_settings(registry=registry)
    opened, cause = open_registry(settings), _said(why)
    expected = _expected(opened, model, expect)
    chosen = ModelRef(name=model, version=version)
    made = opened.promote(chosen, expected=expected, cause=cause, by=who(by), again=True)
    if not _tell(settings, opened, made, announce=announce, as_json=as_json):
        raise typer.Exit(1)


@app.command()
def rollback(  # noqa: PLR0913 - typer: the parameters are the options
    *,
    why: Why,
    expect: Expected = None,
    by: By = None,
    model: Model = "email",
    repair: Annotated[
        bool,
        typer.Option("--reclassify", help="Then decide again what it decided, as `mailweir models reclassify` does."),
    ] = False,
    announce: Announce = None,
    registry: Place = None,
    as_json: Json = False,
) -> None:
    """Demote the champion: the one before it is champion again, and workers still hold it in memory.

    Twice goes two champions back; a version that was rolled back never comes back by itself. With --reclassify every mail whose
    latest decision is the demoted version's gets a new one; if Kafka is away the demotion still holds, and what repairs later is said. With --json the counts are a second line.

    [bold]mailweir models rollback --why "lets invoices pass as spam" --reclassify[/]

    Exit codes: 0 rolled back, and repaired if asked; 1 the champion is another than expected, or rolled back but not announced or
    not repaired; 2 there was none before it, it is broken or not signed, or no registry.
    """
    settings = client_settings(registry=registry)
    opened, cause = open_registry(settings), _said(why)
    expected = _expected(opened, model, expect) or champion_version(opened, model)
    made = opened.rollback(model, expected=expected, cause=cause, by=who(by))
    told = _tell(settings, opened, made, announce=announce, as_json=as_json)
    repaired = not repair or repair_after(settings, opened, ModelRef(name=model, version=expected), as_json=as_json)
    if not (told and repaired):
        raise typer.Exit(1)


def _expected(registry: Registry, model: str, named: str | None) -> str | None:
    if named is not None:
        return None if named == "none" else named
    champion = registry.champion(model)
    return champion.model.version if champion else None


def _said(why: str) -> str:
    if not why.strip():
        raise InputError("--why is empty: the history keeps the reason")
    return " ".join(why.split())


def _tell(settings: Settings, registry: Registry, made: Promotion, *, announce: bool | None, as_json: bool) -> bool:
    """What was done, to the user and to the topic; False if the topic should have been told and was not."""
    if as_json:
        emit(made.model_dump_json().encode())
    else:
        instead = f" in place of {made.previous.version}" if made.previous else ""
        deed = "promoted" if made.action == "promoted" else "rolled back to"
        typer.echo(f"{deed} {made.model.name} {made.model.version}{instead} (number {made.number})")
    if announce is None:
        announce = "kafka_bootstrap" in settings.model_fields_set
    try:
        if announce:
            asyncio.run(_announce(settings, registry, made))
    except MailweirError as error:
        # the pointer is the truth: this is done, and only those who listen on the topic do not know
        complain(f"done, but {settings.topic_name(MODELS.name)} was not told: {error.message}")
        return False
    return True


async def _announce(settings: Settings, registry: Registry, made: Promotion) -> None:
    from mailweir.services.runs.records import promotion_record
    from mailweir.services.stream import KafkaBus
    from mailweir.services.topics import require

    await require(settings, (MODELS,))
    sink = KafkaBus(settings).sink()
    await sink.start()
    try:
        await sink.send([promotion_record(made, registry.folder(made.model), settings.topic_prefix)])
    finally:
        await sink.stop()
