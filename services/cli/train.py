"""`mailweir train`: make a bundle from annotated mail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mailweir.schemas.errors import InputError, SettingsError, SetupError
from mailweir.schemas.manifest import Manifest
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.train_compare import option_sets, run_comparison
from mailweir.services.cli.train_options import (
    PART,
    TRIAL_EPOCHS,
    AsJson,
    Compared,
    Part,
    Track,
    TrialEpochs,
    check_compare,
    check_together,
    check_track,
    check_without_compare,
)

if TYPE_CHECKING:
    from mailweir.models.training.corpus import MailRow
    from mailweir.models.training.recipe import Recipe
    from mailweir.models.training.train import Given

__all__ = ["train"]

_INSTALL = "pip install 'mailweir[train]'"


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
    Literal["email", "task"], typer.Option(help="What it decides about: mail, or tasks (a title, a description).")
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
Refined = Annotated[
    Path | None,
    typer.Option(
        metavar="BUNDLE",
        help="Leave this fine-tuned bundle as it is, and fit a refinement (TRM) over its encoder; OUT may be BUNDLE. "
        "It is served for the heads that it wins.",
    ),
]


def train(  # noqa: PLR0913 - a command's options are its arguments
    out: Out = None,
    *,
    corpus: Corpus = None,
    public: Public = None,
    checkpoints: Checkpoints = None,
    taxonomy: TaxonomyName = "email",
    frozen: Frozen = False,
    options: Options = None,
    search: Trials = 0,
    trm: Refined = None,
    compare: Compared = None,
    part: Part = None,
    epochs: TrialEpochs = None,
    json: AsJson = False,
    track: Track = None,
) -> None:
    r"""Train a bundle: fine-tuned encoder, heads, tagger, scorer of sentences, calibration, int8 form, figures.

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

    --search compares rate, rank, frozen layers and focal gamma on the validation authors ([bold]pip install 'mailweir\[search]'[/]) and
    trains with the best; search.db among the checkpoints keeps the trials, and the next search goes on from them.

    --compare tells on the same rows and validation authors by how much other options are better than the recipe as it is
    ([bold]--checkpoints tries --compare focal=2 --compare balance=0,sampling=0.5[/]); compare.jsonl in there keeps the tries.
    --track is for [bold]mlflow ui --backend-store-uri sqlite:///DIR/mlflow.db[/] ([bold]pip install 'mailweir\[track]'[/]).

    Exit codes: 0 written or compared; 2 a package is missing, a row breaks the annotation guide, an option is wrong, a checkpoint is broken or
    belongs to another run, or a folder cannot be used.
    """
    client_settings()
    _check(corpus, public, search)
    check_track(track)
    tunes, keeps = bool(options or search or compare), bool(public or checkpoints or track)
    check_together(frozen=frozen, trm=bool(trm), tuned=tunes, kept=keeps)
    kept = checkpoints or (out.with_name(f"{out.name}.checkpoints") if out else None)
    try:
        recipe = _recipe(taxonomy, options or (), frozen=frozen)
        if compare:
            check_compare(kept, search=search, track=track)
            _compare(recipe, (corpus, public, kept), (compare, part, epochs), as_json=json)
            return
        out = check_without_compare(out, part, epochs, json=json)
        tuned = (None if frozen else kept, search, track)
        manifest = _refine(trm, out, corpus) if trm else _train(out, recipe, (corpus, public), tuned)
    except ImportError as error:
        raise SetupError(f"training needs packages that serving does not ({error}): {_INSTALL}") from error
    _tell(manifest, out)


def _tell(manifest: Manifest, out: Path) -> None:
    served = f", refined: {', '.join(manifest.refine.heads) or 'no head'}" if manifest.refine else ""
    typer.echo(f"{manifest.model.name} {manifest.model.version} written to {out}{served}")


def _compare(
    recipe: Recipe,
    places: tuple[Path | None, Path | None, Path | None],
    asked: tuple[Sequence[str], int | None, int | None],
    *,
    as_json: bool,
) -> None:
    """`places` are the rows, the public collections and the checkpoints; `asked` sets of options, part and epochs."""
    written, part, epochs = asked
    sets = option_sets(recipe, written)
    rows, given = _given(recipe, places[:2])
    effort = (sets, part or PART, epochs or TRIAL_EPOCHS)
    run_comparison(recipe, (rows, replace(given, checkpoints=places[2])), effort, as_json=as_json)


def _check(corpus: Path | None, public: Path | None, search: int) -> None:
    """What would end the run is said before it begins."""
    if corpus is not None and not corpus.exists():
        raise InputError(f"{corpus}: no such file or folder", path=str(corpus))
    if public is not None and not public.is_dir():
        raise InputError(f"{public}: no such folder", path=str(public))
    if search and util.find_spec("optuna") is None:
        raise SetupError("--search needs optuna, which is not installed: pip install 'mailweir[search]'")


def _recipe(taxonomy: str, options: Sequence[str], *, frozen: bool) -> Recipe:
    from mailweir.models.training.recipe import EMAIL, TASK
    from mailweir.models.training.tuning import Tuning, changed

    recipe = EMAIL if taxonomy == "email" else TASK
    if frozen:
        return replace(recipe, tuning=None)
    tuning = changed(recipe.tuning or Tuning(), options)
    if tuning.adapters.frozen >= recipe.layers:
        raise SettingsError(
            f"--set frozen={tuning.adapters.frozen}: give at most {recipe.layers - 1}: there are {recipe.layers} layers"
        )
    return replace(recipe, tuning=tuning)


def _train(
    out: Path, recipe: Recipe, data: tuple[Path | None, Path | None], tuned: tuple[Path | None, int, Path | None]
) -> Manifest:
    """`data` are the annotated rows, a folder or a file, and the folder of public collections; `tuned` checkpoints, trials, track."""
    from mailweir.models.training.train import train_bundle

    rows, given = _given(recipe, data)
    return train_bundle(out, rows, recipe, replace(given, checkpoints=tuned[0], trials=tuned[1], track=tuned[2]))


def _given(recipe: Recipe, data: tuple[Path | None, Path | None]) -> tuple[list[MailRow], Given]:
    from mailweir.models.training.corpus import FOLDER
    from mailweir.models.training.public import load_public
    from mailweir.models.training.references import load_references
    from mailweir.models.training.train import Given

    corpus, public = data
    rows = _rows(recipe.name, corpus)
    folder = corpus or FOLDER
    extra = load_public(public, recipe.seed, say=_say) if public else []
    references = load_references(folder, rows) if recipe.name == "email" and folder.is_dir() else {}
    return rows, Given(public=extra, references=references)


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _refine(bundle: Path, out: Path, corpus: Path | None) -> Manifest:
    from mailweir.models.runtime.integrity import read_manifest
    from mailweir.models.training.trm_bundle import refine_bundle

    return refine_bundle(bundle, out, _rows(read_manifest(bundle).taxonomy.name, corpus))


def _rows(taxonomy: str, corpus: Path | None) -> list[MailRow]:
    """The annotated rows of a taxonomy, tasks as mails."""
    from mailweir.models.training.corpus import FOLDER, load_mails, load_tasks, tasks_as_mails

    folder = corpus or FOLDER
    return load_mails(folder) if taxonomy == "email" else tasks_as_mails(load_tasks(folder))
