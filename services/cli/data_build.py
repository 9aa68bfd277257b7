"""`mailweir data build`: a training set by recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailweir.schemas.errors import InputError, SetupError
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.paths import refuse_replacing

if TYPE_CHECKING:
    from mailweir.models.training.data import Built

__all__ = ["build"]


def build(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.toml", help="What to repeat, to alter and to order.")],
    source: Annotated[
        Path | None,
        typer.Argument(metavar="DIR|FILE", help="Annotated rows (*.jsonl); else the corpus of the repository."),
    ] = None,
    *,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The training set, JSON lines; replaced if it is there.")],
) -> None:
    r"""Build a training set: classes balanced, weak slices raised, mails in other forms, from easy to hard.

    The recipe's sections, each of which may be left out: [bold]\[balance][/] head, temperature; [bold]\[\[slice]][/] head, label, language,
    weight; [bold]\[weak][/] evaluation (what `mailweir evaluate --json` printed), below, weight, least; [bold]\[augment][/] share, kinds
    (typos, casing, quoting, html, entities, plain_letters); [bold]\[curriculum][/] by ("words", "bundle"), bundle; and at the top seed and
    most, the times that one mail may occur. No mail is lost; mail of validation and test authors goes through as it is.
    Needs [bold]pip install 'mailweir\[train]'[/].

    [bold]mailweir data build recipe.toml --out set.jsonl && mailweir train --corpus set.jsonl --out bundle[/]

    Exit codes: 0 written; 2 the recipe has an unknown option or a wrong value, a row breaks the guide, or a file cannot be used
    or is one that is read.
    """
    client_settings()
    try:
        from mailweir.models.training.corpus import FOLDER, load_mails
        from mailweir.models.training.data import build as build_set
        from mailweir.models.training.data import read_recipe, write_rows
    except ImportError as error:
        raise SetupError(f"a training set needs a package ({error}): pip install 'mailweir[train]'") from error
    wanted = read_recipe(recipe)
    if source is not None and not source.exists():
        raise InputError(f"{source}: no such file or folder", path=str(source))
    refuse_replacing(str(source or FOLDER), out)
    built = build_set(load_mails(source or FOLDER), wanted)
    write_rows(out, built.rows)
    _tell(out, built)


def _tell(out: Path, built: Built) -> None:
    forms = ", ".join(f"{kind} {count:,}" for kind, count in sorted(built.forms.items())) or "none"
    typer.echo(f"{len(built.rows):,} mails written to {out}")
    typer.echo(f"  {built.taken:,} to learn from as they are, {built.copies:,} repeats of them")
    typer.echo(f"  {built.forms.total():,} in another form: {forms}")
    typer.echo(f"  {built.held_out:,} of validation and test authors, as they are")
