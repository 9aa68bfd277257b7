"""From a manifest back to what its bundle was made by: the recipe, the corpus, the base."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from mailweir.models.training.corpus import FOLDER, MailRow, load_mails, load_tasks, tasks_as_mails
from mailweir.models.training.public import PublicRow, load_public
from mailweir.models.training.recipe import Recipe
from mailweir.models.training.references import Reference, load_references
from mailweir.models.training.tiny import TINY, tiny_parts
from mailweir.models.training.train import Given
from mailweir.schemas.errors import InputError
from mailweir.schemas.manifest import Manifest

_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class Sources:
    """The places that a manifest does not name; None for what the package brings along, or for nowhere."""

    corpus: Path | None = None  # folder of annotated rows
    public: Path | None = None  # folder of public collections
    base: Path | None = None  # Hugging Face folder


def recipe_of(manifest: Manifest) -> Recipe:
    """What a bundle was made by. An option that is newer than the bundle has its default.

    Raises:
        InputError: the manifest has no recipe, or one with options that this code does not know.
    """
    options = manifest.recipe.get("options")
    name = f"{manifest.model.name} {manifest.model.version}"
    if not isinstance(options, Mapping):
        raise InputError(f"{name} has no recipe in its manifest: train it with `mailweir train`", model=name)
    return read_options(Recipe, options, name)


def read_options(kind: type[_Made], options: Mapping[str, Any], name: str) -> _Made:
    """The inverse of `asdict`, also after JSON made lists of tuples and sets; `name` is for messages.

    Raises:
        InputError: an option is unknown, or none of its kind.
    """
    try:
        made: _Made = TypeAdapter(kind).validate_python(dict(options))
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]
        place = ".".join(map(str, fault["loc"]))
        raise InputError(f"the recipe of {name}: {place}: {fault['msg']}", model=name) from error
    if unknown := sorted(_unknown(made, options)):
        message = f"the recipe of {name} has options that this version does not know: {', '.join(unknown)}; use the one that made it"
        raise InputError(message, model=name)
    return made


def _unknown(made: Any, options: Mapping[str, Any], place: str = "") -> list[str]:
    """Options that nothing was made of, in whatever depth."""
    known = {each.name for each in fields(made)}
    found = [f"{place}{name}" for name in options if name not in known]
    for name in known & options.keys():
        value, given = getattr(made, name), options[name]
        if is_dataclass(value) and isinstance(given, Mapping):
            found += _unknown(value, given, f"{place}{name}.")
        elif isinstance(value, tuple) and value and is_dataclass(value[0]):
            pairs = enumerate(zip(value, given, strict=True))
            found += [one for n, (each, raw) in pairs for one in _unknown(each, raw, f"{place}{name}.{n}.")]
    return found


def read_sources(recipe: Recipe, sources: Sources) -> tuple[list[MailRow], Given]:
    """The rows of the corpus, and what a run by this recipe is given besides.

    Raises:
        InputError: a row or folder cannot be used, or the base is another than the recipe names.
    """
    corpus = sources.corpus or FOLDER
    if recipe.base == TINY.base:
        return tiny_parts(corpus)
    rows = corpus_rows(recipe.name, corpus)
    references = _references(recipe.name, corpus, rows)
    public: list[PublicRow] = load_public(sources.public, recipe.seed) if sources.public else []
    return rows, Given(_base(recipe, sources.base), public, references=references)


def corpus_rows(taxonomy: str, corpus: Path | None = None) -> list[MailRow]:
    """The annotated rows of a taxonomy, tasks as mails.

    Raises:
        InputError: there is no such folder, or a row cannot be used.
    """
    folder = corpus or FOLDER
    if not folder.exists():
        raise InputError(
            f"{folder} is not there: name the corpus to learn from, by --corpus or MAILWEIR_TRAINER_CORPUS",
            path=str(folder),
        )
    return load_mails(folder) if taxonomy == "email" else tasks_as_mails(load_tasks(folder))


def _references(taxonomy: str, corpus: Path, rows: list[MailRow]) -> dict[str, Reference]:
    return load_references(corpus, rows) if taxonomy == "email" and corpus.is_dir() else {}


def _base(recipe: Recipe, folder: Path | None) -> Any:
    """None for the one that comes as a package."""
    if recipe.base == Recipe().base:
        return None
    if folder is None:
        message = f"the base model is {recipe.base}: MAILWEIR_TRAINER_BASE names its Hugging Face folder"
        raise InputError(message, base=recipe.base)
    from mailweir.models.training.huggingface import read_folder

    found = read_folder(folder, recipe.layers, recipe.max_tokens)
    if found.name != recipe.base:
        message = f"{folder} holds {found.name}, and the champion was made from {recipe.base}: name that one's folder"
        raise InputError(message, path=str(folder))
    return found
