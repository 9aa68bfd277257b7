"""Options of `mailweir train` that go beside those of a plain run: comparing, tracking."""

from __future__ import annotations

from importlib import util
from pathlib import Path
from typing import Annotated

import typer

from mailweir.schemas.errors import InputError, SetupError

__all__ = ["AsJson", "Compared", "Part", "Track", "TrialEpochs", "check_compare", "check_track"]

Compared = Annotated[
    list[str] | None,
    typer.Option(
        "--compare",
        metavar="NAME=VALUE[,...]",
        help="Write no bundle: try these options against the recipe as it is and print a table; may come again.",
    ),
]
Part = Annotated[int, typer.Option(metavar="N", min=1, help="--compare learns from one in N of the rows.")]
TrialEpochs = Annotated[int, typer.Option("--epochs", metavar="N", min=1, help="Epochs of each try of --compare.")]
AsJson = Annotated[bool, typer.Option("--json", help="The table of --compare as one JSON object.")]
Track = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Keep options and figures of the run for MLflow, in DIR/mlflow.db.")
]


def check_track(track: Path | None) -> None:
    """A package that is missing is named before the run begins."""
    lacks = [name for name in ("mlflow", "sqlalchemy") if track and util.find_spec(name) is None]
    if lacks:
        raise SetupError(f"--track needs {' and '.join(lacks)}, which is not installed: pip install 'mailweir[track]'")


def check_compare(kept: Path | None, *, search: int, track: Path | None) -> None:
    """What a comparison cannot do without or together with."""
    if kept is None:
        raise InputError("--compare keeps its tries in a folder: name --checkpoints (or --out, for OUT.checkpoints)")
    if search or track:
        raise InputError("--compare tries the sets that are named and trains no bundle: leave out --search and --track")
