"""Where `mailweir train` reads what it learns from, and where it keeps what it does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mailweir.schemas.errors import InputError

if TYPE_CHECKING:
    from mailweir.models.training.corpus import MailRow
    from mailweir.models.training.e5 import BaseModel
    from mailweir.models.training.recipe import Recipe
    from mailweir.models.training.train import Given

__all__ = ["Places"]


@dataclass(frozen=True, slots=True)
class Places:
    """The places that a user names; None for what the package brings along, or for nowhere."""

    corpus: Path | None = None  # folder or file of annotated rows
    public: Path | None = None  # folder of collections
    base: Path | None = None  # Hugging Face folder
    checkpoints: Path | None = None  # where a run that was cut off goes on from
    track: Path | None = None  # folder of MLflow's store

    def check(self) -> None:
        """What would end the run is said before it begins."""
        if self.corpus is not None and not self.corpus.exists():
            raise InputError(f"{self.corpus}: no such file or folder", path=str(self.corpus))
        for folder in (self.public, self.base):
            if folder is not None and not folder.is_dir():
                raise InputError(f"{folder}: no such folder", path=str(folder))

    def read(self, recipe: Recipe) -> tuple[list[MailRow], Recipe, Given]:
        """Rows, the recipe with the base's name, and what a run is given besides."""
        from mailweir.models.training.again import corpus_rows
        from mailweir.models.training.corpus import FOLDER
        from mailweir.models.training.public import load_public
        from mailweir.models.training.references import load_references
        from mailweir.models.training.train import Given

        model = _read_base(self.base, recipe) if self.base else None
        rows, folder = corpus_rows(recipe.name, self.corpus), self.corpus or FOLDER
        public = load_public(self.public, recipe.seed, say=_say) if self.public else []
        references = load_references(folder, rows) if recipe.name == "email" and folder.is_dir() else {}
        named = replace(recipe, base=model.name) if model else recipe
        given = Given(model, public, self.checkpoints, self.track, references=references)
        return rows, named, given


def _read_base(folder: Path, recipe: Recipe) -> BaseModel:
    from mailweir.models.training.huggingface import read_folder

    return read_folder(folder, recipe.layers, recipe.max_tokens)


def _say(line: str) -> None:
    typer.echo(line, err=True)
