"""How wrong accuracy without labels is: `nice python tests/bench/cbpe.py`. A report, not a test; about a minute.

The shipped bundle answers the test authors' mails, none of which it saw. Then the mails are drawn again, 300 at a time: as they
are, and with other shares of categories (label shift, a Dirichlet draw each). Of each draw the estimate is compared with the
accuracy on the same mails. The bundle's calibration was fitted on other authors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mailweir.models.evaluation import answer, read_examples
from mailweir.models.evaluation.expected import wilson
from mailweir.models.runtime import Bundle, shipped_bundle
from mailweir.models.training.corpus import TEST_AUTHORS

CORPUS = Path(__file__).parents[2] / "models" / "corpus"
DRAWS, MAILS = 500, 300
SHIFTS: dict[str, float | None] = {"as they are": None, "mild shift": 5.0, "strong shift": 0.5}
"""Concentration of the Dirichlet draw of the categories' shares: 5 halves and doubles them, at .5 a few make up nearly all."""


@dataclass(frozen=True)
class Answered:
    """All mails of the test authors; of a head that a mail does not know, NaN."""

    category: NDArray[np.str_]
    probability: Mapping[str, NDArray[np.float64]]  # per head (mails,)
    right: Mapping[str, NDArray[np.float64]]


def answered() -> Answered:
    """By the shipped bundle, one mail at a time."""
    bundle = Bundle.load(shipped_bundle())
    examples = read_examples([CORPUS / f"{name}.jsonl" for name in sorted(TEST_AUTHORS)], bundle.manifest)
    found = answer(bundle, examples)
    probability, right = {}, {}
    for head, spec in bundle.manifest.heads.items():
        if spec.kind == "one":
            scores = np.array([one.scores.heads[head] for one in found])
            wanted = [one.example.labels.get(head) for one in found]
            known = np.array([label is not None for label in wanted])
            said = np.array(list(spec.labels))[scores.argmax(axis=1)]
            probability[head] = np.where(known, scores.max(axis=1), np.nan)
            right[head] = np.where(known, said == np.array([str(label) for label in wanted]), np.nan)
    return Answered(np.array([str(one.labels.get("category")) for one in examples]), probability, right)


def draws(category: NDArray[np.str_], concentration: float | None) -> NDArray[np.int64]:
    """(draws, mails): which mails, with repeats."""
    random = np.random.default_rng(11)
    names, place = np.unique(category, return_inverse=True)
    share = np.bincount(place) / len(place)
    found = []
    for _ in range(DRAWS):
        wanted = share if concentration is None else random.dirichlet(concentration * share * len(names))
        weight = wanted[place] / share[place]
        found.append(random.choice(len(category), MAILS, p=weight / weight.sum()))
    return np.array(found)


def main() -> None:
    """Per head and shift: mean accuracy, mean estimate, mean and mean absolute error, and how often Wilson's interval covers it."""
    made = answered()
    print(f"{len(made.category)} mails of {', '.join(sorted(TEST_AUTHORS))}; {DRAWS} draws of {MAILS}")
    print(
        f"{'head':<16}{'draws':<14}{'accuracy':>9}{'± sd':>7}{'estimate':>9}{'± sd':>7}{'error':>8}{'|error|':>8}{'|no est.|':>10}{'inside':>8}"
    )
    for name, concentration in SHIFTS.items():
        drawn = draws(made.category, concentration)
        for head in made.right:
            _tell(
                head, name, made.right[head][drawn], made.probability[head][drawn], float(np.nanmean(made.right[head]))
            )


def _tell(head: str, name: str, right: NDArray[np.float64], probability: NDArray[np.float64], usual: float) -> None:
    """`no est.` is the error of who takes the accuracy of the mails as they are for that of every draw."""
    true, said = np.nanmean(right, axis=1), np.nanmean(probability, axis=1)
    edges = [wilson(float(one), MAILS) for one in true]
    inside = np.mean([low <= one <= high for one, (low, high) in zip(said, edges, strict=True)])
    error = said - true
    print(
        f"{head:<16}{name:<14}{true.mean():>9.3f}{true.std():>7.3f}{said.mean():>9.3f}{said.std():>7.3f}{error.mean():>+8.3f}"
        f"{np.abs(error).mean():>8.3f}{np.abs(true - usual).mean():>10.3f}{inside:>8.0%}"
    )


if __name__ == "__main__":
    main()
