"""What a training set is built by: a small TOML file, every option of which is checked before anything is read."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mailweir.schemas.errors import InputError
from mailweir.schemas.taxonomy import Taxonomy, installed_taxonomy

Kind = Literal["typos", "casing", "quoting", "html", "entities", "plain_letters"]


def _email() -> Taxonomy:
    return installed_taxonomy("email", 1)


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Balance(_Options):
    """Rare classes of a head are repeated: at temperature 1 not at all, at 0 until all are as many as the commonest."""

    head: str
    temperature: float = Field(ge=0, le=1)

    @field_validator("head")
    @classmethod
    def _of_one(cls, head: str) -> str:
        one = [name for name, given in _email().heads.items() if given.kind == "one"]
        if head not in one:
            msg = f"{head!r} is no head with one answer: name one of {', '.join(one)}"
            raise ValueError(msg)
        return head


class Curriculum(_Options):
    """Rows from easy to hard, by the loss of word counts that did not see the author, or by a bundle's own loss."""

    by: Literal["words", "bundle"] = "words"
    bundle: Path | None = None  # relative to the recipe

    @model_validator(mode="after")
    def _named(self) -> "Curriculum":
        if (self.by == "bundle") != (self.bundle is not None):
            msg = 'by = "bundle" and bundle = "FOLDER" belong together'
            raise ValueError(msg)
        return self


class Slice(_Options):
    """Mails that are repeated, because models do badly on them."""

    head: str
    label: str
    language: str | None = None  # None: of every language
    weight: float = Field(ge=1, le=20)

    @model_validator(mode="after")
    def _known(self) -> "Slice":
        labels = _email().heads[self.head].labels if self.head in _email().heads else ()
        if self.label not in labels:
            msg = f"{self.head}={self.label} is no label: {', '.join(labels or _email().heads)} are there"
            raise ValueError(msg)
        return self


class Weak(_Options):
    """Slices out of what `mailweir evaluate --json` printed: labels whose F1 in a language is low."""

    evaluation: Path  # relative to the recipe
    below: float = Field(0.8, gt=0, le=1)
    weight: float = Field(3.0, gt=1, le=20)  # of an F1 of zero; falls to 1 where F1 reaches `below`
    least: int = Field(8, ge=1)  # mails of the label in the language, fewer say nothing


class Augment(_Options):
    """Other forms of mails: of a share of all, and of every mail that balance or slices repeat."""

    share: float = Field(ge=0, le=1)
    kinds: tuple[Kind, ...] = Field(min_length=1)


class BuildRecipe(_Options):
    """One training set."""

    seed: int = 7
    most: int = Field(5, ge=1, le=50)  # times that one mail may occur because of balance and slices
    balance: Balance | None = None
    curriculum: Curriculum | None = None
    slices: Annotated[tuple[Slice, ...], Field(alias="slice")] = ()
    weak: Weak | None = None
    augment: Augment | None = None


def read_recipe(file: Path) -> BuildRecipe:
    """The recipe in `file`, its paths made absolute.

    Raises:
        InputError: the file cannot be read or an option is wrong; the message names file, key and remedy.
    """
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}: name a recipe in TOML", path=str(file)) from error
    except ValueError as error:
        raise InputError(f"{file}: no TOML: {error}", path=str(file)) from error
    try:
        return BuildRecipe.model_validate(_placed(table, file.parent))
    except ValidationError as error:
        raise InputError(f"{file}: {_told(error)}", path=str(file)) from error


def _placed(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Paths as seen from the recipe."""
    for section, key in (("weak", "evaluation"), ("curriculum", "bundle")):
        options = table.get(section)
        if isinstance(options, dict) and isinstance(options.get(key), str):
            options[key] = str(folder / options[key])
    return table


def _told(error: ValidationError) -> str:
    # a misspelt option is missing as well: the word that was written is told
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{key}: there is no such option: {', '.join(_options(first['loc']))} are there"
    if first["type"] == "missing":
        return f"{key}: is missing: set it"
    if first["type"] == "value_error":
        return f"{key}: {first['ctx']['error']}"
    return f"{key}: {first['msg']}, not {first['input']!r}"


def _options(place: Sequence[str | int]) -> list[str]:
    """The options of the section that `place` lies in."""
    sections: dict[str, type[_Options]] = {
        "balance": Balance,
        "curriculum": Curriculum,
        "slice": Slice,
        "weak": Weak,
        "augment": Augment,
    }
    model = BuildRecipe if len(place) == 1 else sections[str(place[0])]
    return [given.alias or name for name, given in model.model_fields.items()]
