"""Options of `mailweir train` that go beside those of a plain run: comparing, tracking."""

from __future__ import annotations

from importlib import util
from pathlib import Path
from typing import Annotated

import typer

from mailweir.schemas.errors import InputError, SetupError

__all__ = [
    "PART",
    "TRIAL_EPOCHS",
    "AsJson",
    "Compared",
    "Part",
    "Track",
    "TrialEpochs",
    "check_compare",
    "check_together",
    "check_track",
    "check_without_compare",
]

PART, TRIAL_EPOCHS = 4, 3
"""A twelfth of a whole run's work or so; the order of options is about the same."""

Compared = Annotated[
    list[str] | None,
    typer.Option(
        "--compare",
        metavar="NAME=VALUE[,...]",
        help="Write no bundle: try these options against the recipe as it is and print a table; may come again.",
    ),
]
Part = Annotated[
    int | None, typer.Option(metavar="N", min=1, help=f"--compare learns from one in N of the rows; else {PART}.")
]
TrialEpochs = Annotated[
    int | None,
    typer.Option("--epochs", metavar="N", min=1, help=f"Epochs of each try of --compare; else {TRIAL_EPOCHS}."),
]
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


def check_without_compare(out: Path | None, part: int | None, epochs: int | None, *, json: bool) -> Path:
    """A bundle needs a folder, and what would say nothing is refused."""
    if part or epochs or json:
        raise InputError(
            "--part, --epochs and --json are of --compare: leave them out (--set epochs=N for a whole run)"
        )
    if out is None:
        raise InputError("--out is missing: name the folder of the new bundle (only --compare writes none)")
    return out


def check_together(*, frozen: bool, trm: bool, tuned: bool, kept: bool) -> None:
    """Options that would be without effect beside others: `tuned` those of fine-tuning, `kept` those of data and folders."""
    if trm and (frozen or tuned or kept):
        raise InputError(
            "--trm fits over a finished bundle: leave out --public, --checkpoints, --frozen, --set, --search, --compare and --track"
        )
    if frozen and tuned:
        raise InputError("--frozen leaves nothing to tune: leave out --set, --search and --compare, or --frozen")
