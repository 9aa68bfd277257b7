"""Who is learned from, who is held out in turn, who is the test: always whole authors."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mailweir.models.training.corpus import FEEDBACK, MailRow
from mailweir.models.training.heads import Mask, author_folds
from mailweir.models.training.measure import ALL, length_band
from mailweir.models.training.recipe import Recipe, Steps
from mailweir.models.training.track import Track
from mailweir.schemas.errors import InputError


@dataclass(frozen=True, slots=True)
class Split:
    """Which rows may be fitted on, which choose and calibrate, which are the test: always whole authors.

    Without validation authors the fitting authors are held out in turn.
    """

    fitting: Mask  # (rows,)
    validating: Mask  # (rows,)
    testing: Mask  # (rows,)
    folds: tuple[Mask, ...]  # groups of authors, to choose the strength
    authors: tuple[Mask, ...]  # one author each, to calibrate
    feedback: (
        Mask  # (rows,) fitted on and never held out: what people correct is what the model got wrong, no sample of mail
    )

    @classmethod
    def by_author(
        cls, rows: Sequence[MailRow], groups: int, test: Collection[str], validation: Collection[str] = ()
    ) -> "Split":
        """Test and validation authors out; the others in `groups` groups.

        Raises:
            InputError: too few authors to hold one out.
        """
        names = [row.author for row in rows]
        testing = np.array([name in test for name in names])
        validating = np.array([name in validation for name in names]) & ~testing
        fitting = ~testing & ~validating
        said = np.array([name == FEEDBACK for name in names]) & fitting
        others = sorted({name for name, used in zip(names, fitting & ~said, strict=True) if used})
        if len(others) < 2:
            raise InputError("calibration holds out authors: the corpus needs rows by two or more", authors=others)
        marked = [name if name in others else "" for name in names]
        folds = [fold & fitting & ~said for fold in author_folds(marked, groups)]
        single = [np.array([name == author for name in names]) for author in others]
        return cls(fitting, validating, testing, tuple(fold for fold in folds if fold.any()), tuple(single), said)


@dataclass(frozen=True, slots=True)
class Run:
    """One training run: what it learns from, what it is asked to do, where it tells about it."""

    rows: Sequence[MailRow]
    split: Split
    recipe: Recipe
    steps: Steps
    track: Track | None = None  # where its figures go as well

    @property
    def languages(self) -> list[str]:
        """Language of each row."""
        return [row.language for row in self.rows]

    def slices(self, rows: NDArray[np.int64]) -> dict[str, Mask]:
        """Of `rows`: all, each language, each band of length; masks over `rows`."""
        spoken = np.array([self.rows[row].language for row in rows])
        long = np.array([length_band(self._words(row)) for row in rows])
        found: dict[str, Mask] = {ALL: np.ones(len(rows), bool)}
        for names in (spoken, long):
            found |= {str(name): names == name for name in np.unique(names)}
        return found

    def _words(self, row: int) -> int:
        return len(self.rows[row].subject.split()) + len(self.rows[row].body.split())
