"""A training set by recipe: rows repeated, in other forms, from easy to hard; those that are held out stay as they are."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from mailweir.models.training.corpus import TEST_AUTHORS, VALIDATION_AUTHORS, MailRow
from mailweir.models.training.data.augment import augmented
from mailweir.models.training.data.recipe import BuildRecipe, Curriculum
from mailweir.models.training.data.weights import row_weights
from mailweir.schemas.errors import InputError

_COPY = "copy"
HELD_OUT = frozenset({*TEST_AUTHORS, *VALIDATION_AUTHORS})
"""Authors whose mails go through as they are: they choose and measure."""


@dataclass(frozen=True, slots=True)
class Built:
    """A training set; the rows to learn from first, in the order of the curriculum, then the held-out ones."""

    rows: tuple[MailRow, ...]
    held_out: int
    copies: int  # mails repeated word for word
    forms: Counter[str]  # mails in another form, by its kind

    @property
    def taken(self) -> int:
        """Mails to learn from that are as they were."""
        return len(self.rows) - self.held_out - self.copies - self.forms.total()


def build(rows: Sequence[MailRow], recipe: BuildRecipe) -> Built:
    """The training set that `recipe` makes of `rows`; the same rows and recipe give the same set.

    Raises:
        InputError: nothing is there to learn from, or a file that the recipe names cannot be used.
        BundleError: nor can the bundle.
    """
    learned = [row for row in rows if row.author not in HELD_OUT]
    held = [row for row in rows if row.author in HELD_OUT]
    if not learned:
        raise InputError(
            f"every row is by a held-out author ({', '.join(sorted(HELD_OUT))}): nothing is left to repeat"
        )
    maker, weights = _Maker(recipe), row_weights(learned, recipe)
    found: list[MailRow] = []
    for place in _order(learned, recipe.curriculum):
        found += [learned[place], *maker.more(learned[place], float(weights[place]))]
    copies = maker.made.pop(_COPY, 0)
    return Built((*found, *held), len(held), copies, maker.made)


def write_rows(file: Path, rows: Sequence[MailRow]) -> None:
    """Write `rows` as JSON lines, beside `file` first, so that a full disk leaves what was there.

    Raises:
        InputError: the file cannot be written.
    """
    fresh = file.with_name(f"{file.name}.new")
    try:
        with fresh.open("w", encoding="utf-8") as stream:
            stream.writelines(row.model_dump_json() + "\n" for row in rows)
        fresh.replace(file)
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}", path=str(file)) from error


def _order(rows: Sequence[MailRow], curriculum: Curriculum | None) -> list[int]:
    if curriculum is None:
        return list(range(len(rows)))
    from mailweir.models.training.data.difficulty import bundle_difficulty, word_difficulty

    losses = bundle_difficulty(rows, curriculum.bundle) if curriculum.bundle else word_difficulty(rows)
    return [int(place) for place in np.argsort(losses, kind="stable")]


class _Maker:
    """Makes what is added beside a mail, and counts it by kind."""

    def __init__(self, recipe: BuildRecipe) -> None:
        self.made: Counter[str] = Counter()
        self._kinds = recipe.augment.kinds if recipe.augment else ()
        self._share = recipe.augment.share if recipe.augment else 0.0
        self._chance = Random(recipe.seed)  # noqa: S311  # no secret

    def more(self, row: MailRow, weight: float) -> Iterator[MailRow]:
        """`weight` - 1 repeats on average, in other forms where the recipe has some, and by chance a form more."""
        repeats = int(weight - 1) + (self._chance.random() < (weight - 1) % 1)
        forms = int(self._chance.random() < self._share)
        ids: Counter[str] = Counter()
        for number in range(repeats + forms):
            other = augmented(row, self._kinds, self._chance) or (_copied(row) if number < repeats else None)
            if other is not None:
                kind, one = other
                ids[one.id] += 1
                self.made[kind] += 1
                yield one if ids[one.id] == 1 else one.model_copy(update={"id": f"{one.id}{ids[one.id]}"})


def _copied(row: MailRow) -> tuple[str, MailRow]:
    return _COPY, row.model_copy(update={"id": f"{row.id}+{_COPY}"})
