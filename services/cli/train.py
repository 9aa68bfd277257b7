"""`mailweir train`: make a bundle from annotated mail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mailweir.schemas.errors import InputError, SetupError
from mailweir.schemas.manifest import Manifest
from mailweir.services.cli.environment import client_settings

if TYPE_CHECKING:
    from mailweir.models.training.corpus import MailRow

__all__ = ["train"]

_INSTALL = "pip install 'mailweir[train]'"


def train(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the new bundle; a bundle that is there is replaced.")
    ],
    *,
    corpus: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Annotated rows (*.jsonl); else the corpus of the repository.")
    ] = None,
    public: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Public spam collections (NAME.jsonl.zst) to learn from as well.")
    ] = None,
    checkpoints: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where a run that is cut off goes on from; else OUT.checkpoints.")
    ] = None,
    taxonomy: Annotated[
        Literal["email", "task"], typer.Option(help="What it decides about: mail, or tasks (a title, a description).")
    ] = "email",
    frozen: Annotated[
        bool, typer.Option("--frozen", help="Leave the encoder as it is and fit heads only: minutes, not an hour.")
    ] = False,
    trm: Annotated[
        Path | None,
        typer.Option(
            metavar="BUNDLE",
            help="Leave this fine-tuned bundle as it is, and fit a refinement (TRM) over its encoder; OUT may be BUNDLE. "
            "It is served for the heads that it wins.",
        ),
    ] = None,
) -> None:
    r"""Train a bundle: fine-tuned encoder, heads, tagger, calibration, int8 form, figures.

    Needs what serving does not: [bold]pip install 'mailweir\[train]'[/]. Shows how far it is and the time left; the same command
    goes on where it was cut off.

    [bold]mailweir train --out bundle && mailweir classify --bundle bundle mails.jsonl[/]

    [bold]mailweir train --trm bundle --out refined[/]

    Exit codes: 0 written; 2 a package is missing, a row breaks the annotation guide, a checkpoint is broken or belongs to another
    run, or a folder cannot be used.
    """
    client_settings()
    for folder in (corpus, public):
        if folder is not None and not folder.is_dir():
            raise InputError(f"{folder}: no such folder", path=str(folder))
    if trm and (public or checkpoints or frozen):
        raise InputError("--trm fits over a finished bundle: leave out --public, --checkpoints and --frozen")
    try:
        kept = None if frozen else checkpoints or out.with_name(f"{out.name}.checkpoints")
        manifest = _refine(trm, out, corpus) if trm else _train(out, taxonomy, (corpus, public), kept)
    except ImportError as error:
        raise SetupError(f"training needs packages that serving does not ({error}): {_INSTALL}") from error
    served = f", refined: {', '.join(manifest.refine.heads) or 'no head'}" if manifest.refine else ""
    typer.echo(f"{manifest.model.name} {manifest.model.version} written to {out}{served}")


def _train(out: Path, taxonomy: str, data: tuple[Path | None, Path | None], checkpoints: Path | None) -> Manifest:
    """`data` are the folders of annotated rows and of public collections; without `checkpoints` the encoder stays frozen."""
    from mailweir.models.training.public import load_public
    from mailweir.models.training.recipe import EMAIL, TASK
    from mailweir.models.training.train import Given, train_bundle

    corpus, public = data
    recipe = EMAIL if taxonomy == "email" else TASK
    rows = _rows(taxonomy, corpus)
    extra = load_public(public, recipe.seed) if public else []
    options = recipe if checkpoints else replace(recipe, tuning=None)
    return train_bundle(out, rows, options, Given(public=extra, checkpoints=checkpoints))


def _refine(bundle: Path, out: Path, corpus: Path | None) -> Manifest:
    from mailweir.models.runtime.integrity import read_manifest
    from mailweir.models.training.trm_bundle import refine_bundle

    return refine_bundle(bundle, out, _rows(read_manifest(bundle).taxonomy.name, corpus))


def _rows(taxonomy: str, corpus: Path | None) -> list[MailRow]:
    """The annotated rows of a taxonomy, tasks as mails."""
    from mailweir.models.training.corpus import FOLDER, load_mails, load_tasks, tasks_as_mails

    folder = corpus or FOLDER
    return load_mails(folder) if taxonomy == "email" else tasks_as_mails(load_tasks(folder))
