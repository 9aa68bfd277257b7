"""`mailweir schemas`: the contracts as files for other languages and tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mailweir.schemas.errors import InputError
from mailweir.services.cli.environment import client_settings

__all__ = ["app"]

app = typer.Typer(help="The contracts as files: JSON Schema and AsyncAPI.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `export` a command of its own: a group of one would swallow its name."""


@app.command()
def export(directory: Annotated[Path, typer.Argument(metavar="DIR", help="Made if it is not there.")]) -> None:
    """Write JSON Schema of every event and an AsyncAPI 3 document of the topics.

    [bold]mailweir schemas export contracts[/]

    Exit codes: 0 written, each file on a line; 2 the folder cannot be written.
    """
    from mailweir.schemas.export import export as write

    settings = client_settings()
    try:
        for path in write(directory, settings.topic_prefix, settings.group_prefix):
            typer.echo(str(path))
    except OSError as error:
        raise InputError(f"{directory}: {error.strerror}", path=str(directory)) from error
