"""`mailweir models rebuild`: does a bundle follow from what its manifest says?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailweir.schemas.errors import SetupError
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.models_registry import Json, Model, Place, bundle_folder
from mailweir.services.cli.output import console, emit
from mailweir.services.cli.retrain_run import INSTALL, shown

if TYPE_CHECKING:
    from mailweir.services.settings import Settings
    from mailweir.services.trainer.rebuild import Rebuilt

__all__ = ["rebuild"]

_MOST_SHOWN = 12


def rebuild(
    bundle: Annotated[
        str, typer.Argument(metavar="BUNDLE", help="A folder, a version of the registry, or `champion`.")
    ],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the bundle that is made again.")],
    model: Model = "email",
    registry: Place = None,
    as_json: Json = False,
) -> None:
    r"""Train a bundle again from its manifest alone, and compare every figure.

    The manifest names the recipe with its seed, the shards with their places and hashes, the rows of feedback that were learned
    from, and the code. The corpus must be the one of then (MAILWEIR_TRAINER_CORPUS); a shard that is gone or changed is said. A
    version follows from a bundle's files: the same version is the same model, weight by weight. Times are not compared.

    [bold]mailweir models rebuild champion --out build/again[/]

    Exit codes: 0 the same; 1 a figure differs, or the model; 2 it cannot be made again, and why.
    """
    settings = client_settings(registry=registry)
    try:
        found = _rebuilt(settings, model, bundle_folder(settings, model, bundle), out)
    except ImportError as error:
        raise SetupError(f"training needs packages that serving does not ({error}): {INSTALL}") from error
    if as_json:
        emit(_told(found))
    else:
        _print(found)
    if not found.same:
        raise typer.Exit(1)


def _rebuilt(settings: Settings, model: str, bundle: Path, out: Path) -> Rebuilt:
    from mailweir.services.trainer.lesson import sources_of
    from mailweir.services.trainer.rebuild import rebuild as made_again

    with shown(f"{bundle}, made again in {out}") as tell:
        return made_again(
            bundle,
            out,
            sources_of(settings),
            settings.ledger,
            tell,
            lambda version: bundle_folder(settings, model, version),
        )


def _told(found: Rebuilt) -> dict[str, object]:
    return {
        "same": found.same,
        "before": found.before.model.version,
        "now": found.now.model.version,
        "figures": found.figures,
        "differences": [asdict(one) for one in found.differences],
        "other_code": [asdict(one) for one in found.other_code],
    }


def _print(found: Rebuilt) -> None:
    to = console()
    same = found.figures - len(found.differences)
    to.print(
        f"{found.before.model.version} then, {found.now.model.version} now: {same:,} of {found.figures:,} figures are the same"
    )
    for one in found.other_code:
        to.print(f"  {one.name} was {one.before}, is {one.now}", markup=False)
    for one in found.differences[:_MOST_SHOWN]:
        to.print(f"  {one.name}: {one.before} then, {one.now} now", markup=False)
    if (more := len(found.differences) - _MOST_SHOWN) > 0:
        to.print(f"  and {more:,} more: --json tells all")
