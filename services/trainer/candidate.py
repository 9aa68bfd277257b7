"""The candidate: made by the champion's own recipe from the corpus and what was admitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mailweir.models.runtime.integrity import MANIFEST, read_manifest
from mailweir.models.training.again import Sources, read_options, read_sources, recipe_of
from mailweir.models.training.corpus import MailRow
from mailweir.models.training.recipe import Recipe
from mailweir.models.training.start import Start
from mailweir.models.training.train import train_bundle
from mailweir.models.training.tuning import continued
from mailweir.schemas.manifest import Manifest
from mailweir.services.trainer.progress import Tell, steps_of

__all__ = ["made", "recipe_from", "train"]


def made(folder: Path) -> Manifest | None:
    """The bundle that an earlier try left in `folder`; None if it did not get so far. A bundle is whole or not there."""
    return read_manifest(folder) if (folder / MANIFEST).is_file() else None


def recipe_from(parent: Manifest, start: Start | None) -> Recipe:
    """The parent's recipe; with gentle steps where its weights are gone on from, as in the parent itself if it did so too."""
    recipe = recipe_of(parent)
    if start is None or recipe.tuning is None or parent.recipe.get("continued_from"):
        return recipe
    return replace(recipe, tuning=continued(recipe.tuning))


def train(
    out: Path,
    recipe: Recipe,
    parent: Manifest,
    rows: Sequence[MailRow],
    data: Mapping[str, Any],
    given: tuple[Sources, Start | None],
    tell: Tell,
) -> Manifest:
    """Train by `recipe` on the corpus and `rows`, refine if `parent` was, and write the bundle to `out`; checkpoints lie beside it.

    `given` are the places that the manifest does not name, and the weights to go on from.

    Raises:
        InputError: the recipe, the corpus or a checkpoint cannot be used.
    """
    corpus, read = read_sources(recipe, given[0])
    told = replace(
        read,
        checkpoints=_beside(out, "checkpoints"),
        start=given[1],
        data=data,
        quiet=True,
        tell=steps_of("training", tell),
    )
    refined = parent.recipe.get("refine")
    target = _beside(out, "unrefined") if refined else out
    found = made(target) or train_bundle(target, [*corpus, *rows], recipe, told)
    return _refine(target, out, [*corpus, *rows], refined["options"], parent) if refined else found


def _beside(out: Path, what: str) -> Path:
    return out.with_name(f"{out.name}.{what}")


def _refine(plain: Path, out: Path, rows: Sequence[MailRow], options: Mapping[str, Any], parent: Manifest) -> Manifest:
    from mailweir.models.training.trm_bundle import refine_bundle  # torch: seconds to import
    from mailweir.models.training.trm_fit import TrmTuning

    tuning = read_options(TrmTuning, options, f"{parent.model.name} {parent.model.version}")
    return refine_bundle(plain, out, rows, tuning, quiet=True)
