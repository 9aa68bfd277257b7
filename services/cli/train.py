"""`mailweir train`: make a bundle from annotated mail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mailweir.schemas.errors import SetupError
from mailweir.schemas.manifest import Manifest
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.train_compare import option_sets, show_comparison
from mailweir.services.cli.train_options import (
    HELP,
    PART,
    TRIAL_EPOCHS,
    AsJson,
    Base,
    Checkpoints,
    Compared,
    Corpus,
    Frozen,
    Layers,
    Options,
    Out,
    Part,
    Public,
    Refined,
    TaxonomyName,
    Track,
    TrialEpochs,
    Trials,
    check_compare,
    check_search,
    check_together,
    check_track,
    check_without_compare,
)
from mailweir.services.cli.train_places import Places

if TYPE_CHECKING:
    from mailweir.models.training.compare import Comparison
    from mailweir.models.training.recipe import Recipe

__all__ = ["HELP", "train"]

_INSTALL = "pip install 'mailweir[train]'"


def train(  # noqa: PLR0913 - a command's options are its arguments
    out: Out = None,
    *,
    corpus: Corpus = None,
    public: Public = None,
    checkpoints: Checkpoints = None,
    taxonomy: TaxonomyName = None,
    frozen: Frozen = False,
    options: Options = None,
    search: Trials = 0,
    base: Base = None,
    layers: Layers = None,
    trm: Refined = None,
    compare: Compared = None,
    part: Part = None,
    epochs: TrialEpochs = None,
    json: AsJson = False,
    track: Track = None,
) -> None:
    """Make a bundle, or compare the options that would make one; a person reads `HELP`."""
    client_settings()
    kept = checkpoints or (out.with_name(f"{out.name}.checkpoints") if out else None)
    places = Places(corpus, public, base, None if frozen else kept, track)
    places.check()
    check_search(search)
    check_track(track)
    check_together(
        {"--trm": trm, "--frozen": frozen, "--taxonomy": taxonomy, "--public": public, "--checkpoints": checkpoints}
        | {"--set": options, "--search": search, "--compare": compare, "--track": track, "--base": base}
        | {"--layers": layers}
    )
    try:
        recipe = _recipe(taxonomy, options or (), layers, frozen=frozen)
        if compare:
            check_compare(kept, search=search, track=track)
            show_comparison(_compared(recipe, places, compare, part or PART, epochs or TRIAL_EPOCHS), as_json=json)
            return
        out = check_without_compare(out, part, epochs, json=json)
        manifest = _refine(trm, out, corpus) if trm else _train(out, recipe, places, search)
    except ImportError as error:
        raise SetupError(f"training needs packages that serving does not ({error}): {_INSTALL}") from error
    _tell(manifest, out)


def _tell(manifest: Manifest, out: Path) -> None:
    served = f", refined: {', '.join(manifest.refine.heads) or 'no head'}" if manifest.refine else ""
    typer.echo(f"{manifest.model.name} {manifest.model.version} written to {out}{served}")


def _compared(recipe: Recipe, places: Places, written: Sequence[str], part: int, epochs: int) -> Comparison:
    from mailweir.models.training.compare import Effort, compare

    sets = option_sets(recipe, written)
    rows, recipe, given = places.read(recipe)
    return compare(rows, recipe, given, sets, Effort(part, epochs))


def _recipe(taxonomy: str | None, options: Sequence[str], layers: int | None, *, frozen: bool) -> Recipe:
    from mailweir.models.training.recipe import EMAIL, TASK
    from mailweir.models.training.tuning import Tuning, changed, check_frozen

    recipe = TASK if taxonomy == "task" else EMAIL
    recipe = replace(recipe, layers=layers or recipe.layers)
    if frozen:
        return replace(recipe, tuning=None)
    tuning = changed(recipe.tuning or Tuning(), options)
    check_frozen(tuning, recipe.layers)
    return replace(recipe, tuning=tuning)


def _train(out: Path, recipe: Recipe, places: Places, trials: int) -> Manifest:
    from mailweir.models.training.train import train_bundle

    rows, recipe, given = places.read(recipe)
    return train_bundle(out, rows, recipe, replace(given, trials=trials))


def _refine(bundle: Path, out: Path, corpus: Path | None) -> Manifest:
    from mailweir.models.runtime.integrity import read_manifest
    from mailweir.models.training.again import corpus_rows
    from mailweir.models.training.trm_bundle import refine_bundle

    return refine_bundle(bundle, out, corpus_rows(read_manifest(bundle).taxonomy.name, corpus))
