"""How often a mail is wanted: rare classes and weak slices more than once, never less."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from mailweir.models.training.corpus import TEST_AUTHORS, MailRow
from mailweir.models.training.data.recipe import Balance, BuildRecipe, Slice, Weak
from mailweir.schemas.errors import InputError, UnknownLabel
from mailweir.schemas.taxonomy import installed_taxonomy

Weights = NDArray[np.float64]


class _Label(BaseModel):
    model_config = ConfigDict(extra="ignore")

    f1: float
    right: int


class _Measured(BaseModel):
    model_config = ConfigDict(extra="ignore")

    labels: dict[str, _Label]


class _Sliced(BaseModel):
    model_config = ConfigDict(extra="ignore")

    language: dict[str, _Measured]
    source: dict[str, Any]


class _Head(BaseModel):
    model_config = ConfigDict(extra="ignore")

    figures: _Sliced


class _Evaluation(BaseModel):
    """What `mailweir evaluate --json` prints, as far as it is read here."""

    model_config = ConfigDict(extra="ignore")

    heads: dict[str, _Head]


def row_weights(rows: Sequence[MailRow], recipe: BuildRecipe) -> Weights:
    """(rows,) how often each is wanted, from 1 to `recipe.most`.

    Raises:
        InputError: the evaluation cannot be read, or was made on the test authors; a slice of the recipe holds no mail.
    """
    found = np.ones(len(rows))
    _refuse_idle(rows, recipe.slices)
    if recipe.balance:
        found *= balance_weights([row.label(recipe.balance.head) for row in rows], recipe.balance)
    for part in (*recipe.slices, *(weak_slices(recipe.weak) if recipe.weak else ())):
        found *= np.where([_within(row, part) for row in rows], part.weight, 1.0)
    return np.clip(found, 1.0, recipe.most)


def balance_weights(labels: Sequence[str | None], balance: Balance) -> Weights:
    """(rows,) (largest class / class) ** (1 - temperature); 1 where the label is unknown."""
    counts = Counter(label for label in labels if label is not None)
    largest = max(counts.values(), default=1)
    factor = {label: float((largest / count) ** (1 - balance.temperature)) for label, count in counts.items()}
    return np.array([1.0 if label is None else factor[label] for label in labels])


def weak_slices(weak: Weak) -> list[Slice]:
    """The labels of every head whose F1 in a language is below the limit; the lower, the more they weigh.

    Raises:
        InputError: the file is no evaluation of this taxonomy, or one on the test authors, on whom nothing may be chosen.
    """
    return list(_slices(_read(weak.evaluation), weak))


def _slices(found: _Evaluation, weak: Weak) -> Iterator[Slice]:
    for head, measured in found.heads.items():
        for language, figures in measured.figures.language.items():
            for label, reached in figures.labels.items():
                if reached.right >= weak.least and reached.f1 < weak.below:
                    weight = 1 + (weak.weight - 1) * (weak.below - reached.f1) / weak.below
                    yield Slice(head=head, label=label, language=language, weight=weight)


def _read(file: Path) -> _Evaluation:
    try:
        found = _Evaluation.model_validate(orjson.loads(file.read_bytes()))
        for head, measured in found.heads.items():
            for label in {label for figures in measured.figures.language.values() for label in figures.labels}:
                installed_taxonomy("email", 1).check_label(head, label)
    except OSError as error:
        raise InputError(f"weak.evaluation {file}: {error.strerror}", path=str(file)) from error
    except (ValueError, ValidationError, UnknownLabel) as error:
        message = f"weak.evaluation {file}: not what `mailweir evaluate --json` prints for mail ({error})"
        raise InputError(message, path=str(file)) from error
    measured_on = {name for head in found.heads.values() for name in head.figures.source}
    if chosen := sorted(measured_on & TEST_AUTHORS):
        message = (
            f"weak.evaluation {file}: made on the test authors {', '.join(chosen)}: evaluate the validation authors"
        )
        raise InputError(message, path=str(file))
    return found


def _refuse_idle(rows: Sequence[MailRow], slices: Sequence[Slice]) -> None:
    """A slice without a mail would change nothing, silently."""
    for number, part in enumerate(slices):
        if not any(_within(row, part) for row in rows):
            among = f" in language {part.language}" if part.language else ""
            raise InputError(
                f"slice.{number}: no mail to learn from has {part.head}={part.label}{among}: correct it or leave it out"
            )


def _within(row: MailRow, part: Slice) -> bool:
    labels = row.labels.get(part.head)
    of_label = part.label in labels if isinstance(labels, tuple) else part.label == labels
    return of_label and part.language in {None, row.language}
