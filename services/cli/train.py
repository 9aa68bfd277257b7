"""`mailweir train`: make a bundle from annotated mail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from mailweir.schemas.errors import InputError, SetupError
from mailweir.schemas.manifest import Manifest
from mailweir.services.cli.environment import client_settings

__all__ = ["train"]

_INSTALL = "pip install 'mailweir[train]'"


def train(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the new bundle; a bundle that is there is replaced.")
    ],
    *,
    corpus: Annotated[
        Path | None,
        typer.Option(metavar="DIR|FILE", help="Annotated rows (*.jsonl); else the corpus of the repository."),
    ] = None,
    public: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Public collections (NAME.jsonl.zst) to learn from as well.")
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
) -> None:
    r"""Train a bundle: fine-tuned encoder, heads, tagger, calibration, int8 form, figures.

    Needs what serving does not: [bold]pip install 'mailweir\[train]'[/]. Shows how far it is and the time left; the same command
    goes on where it was cut off.

    [bold]mailweir train --out bundle && mailweir classify --bundle bundle mails.jsonl[/]

    Exit codes: 0 written; 2 a package is missing, a row breaks the annotation guide, a checkpoint is broken or belongs to another
    run, or a folder cannot be used.
    """
    client_settings()
    if corpus is not None and not corpus.exists():
        raise InputError(f"{corpus}: no such file or folder", path=str(corpus))
    if public is not None and not public.is_dir():
        raise InputError(f"{public}: no such folder", path=str(public))
    try:
        kept = None if frozen else checkpoints or out.with_name(f"{out.name}.checkpoints")
        manifest = _train(out, taxonomy, (corpus, public), kept)
    except ImportError as error:
        raise SetupError(f"training needs packages that serving does not ({error}): {_INSTALL}") from error
    typer.echo(f"{manifest.model.name} {manifest.model.version} written to {out}")


def _train(out: Path, taxonomy: str, data: tuple[Path | None, Path | None], checkpoints: Path | None) -> Manifest:
    """`data` are the annotated rows, a folder or a file, and the folder of public collections; without `checkpoints` the encoder stays frozen."""
    from mailweir.models.training.corpus import FOLDER, load_mails, load_tasks, tasks_as_mails
    from mailweir.models.training.public import load_public
    from mailweir.models.training.recipe import EMAIL, TASK
    from mailweir.models.training.train import Given, train_bundle

    corpus, public = data
    recipe = EMAIL if taxonomy == "email" else TASK
    folder = corpus or FOLDER
    rows = load_mails(folder) if taxonomy == "email" else tasks_as_mails(load_tasks(folder))
    extra = load_public(public, recipe.seed, say=_say) if public else []
    options = recipe if checkpoints else replace(recipe, tuning=None)
    return train_bundle(out, rows, options, Given(public=extra, checkpoints=checkpoints))


def _say(line: str) -> None:
    typer.echo(line, err=True)
