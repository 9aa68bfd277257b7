"""A trial of options of fine-tuning: a part of the rows, few epochs, the validation authors as in the whole run.

The order of options on a part is about that on all rows, at a fraction of the cost.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mailweir.models.training.examples import Examples, Score, Tell
from mailweir.models.training.heads import Mask
from mailweir.models.training.prepare import Prepared
from mailweir.models.training.public import PublicRow
from mailweir.models.training.split import Run
from mailweir.models.training.tune import Tuner
from mailweir.models.training.tuned import examples_of, tags_of
from mailweir.models.training.tuning import Tuning, identity

HEADS_EPOCHS = 2


@dataclass(frozen=True, slots=True)
class Subset:
    """What trials learn from and are compared on."""

    examples: Examples
    validating: Mask  # (rows of the subset,)

    def key(self, tuning: Tuning) -> str:
        """Trials go on only with the same rows and the same options."""
        return hashlib.sha256(f"{identity(tuning)}{self.examples.fingerprint()}".encode()).hexdigest()[:16]


def subset_of(run: Run, ready: Prepared, part: int, public: Sequence[PublicRow] = ()) -> Subset:
    """One in `part` of the rows that may be fitted on and of the public ones, and every row of the validation authors.

    Other forms are added to that part as the recipe wants them.
    """
    fitting = np.flatnonzero(run.split.fitting)
    chosen = np.random.default_rng(run.recipe.seed).permutation(fitting)[::part]
    rows = np.sort(np.concatenate([chosen, np.flatnonzero(run.split.validating)]))
    examples = examples_of(run, ready, public[::part], rows)
    more = len(examples.mails) - len(rows)
    return Subset(examples, np.concatenate([run.split.validating[rows], np.zeros(more, bool)]))


def short(tuning: Tuning, epochs: int) -> Tuning:
    """The options in few epochs, none of them left out."""
    return replace(tuning, heads_epochs=HEADS_EPOCHS, epochs=epochs, patience=epochs)


def attempt(
    run: Run,
    ready: Prepared,
    subset: Subset,
    options: tuple[Tuning, int],
    score: Score,
    tell: Tell = lambda *_: None,
) -> Tuner:
    """The network fitted with a tuning in so many epochs, with the weights of its best."""
    tuner = Tuner(ready.encoder, subset.examples, len(tags_of(run)), short(*options), None)
    tuner.fit(~subset.validating, subset.validating, score, tell)
    return tuner
