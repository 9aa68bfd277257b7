"""`Sitting`: what one bundle answered and measured, side by side with the other on the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mailweir.models.evaluation import Answer
from mailweir.models.evaluation.heads import head_tally
from mailweir.models.evaluation.tally import Tally
from mailweir.schemas.manifest import Manifest

__all__ = ["Neighbours", "Sitting", "known", "tally_of"]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """How far answers move with what stands beside a mail in its batch."""

    mails: int
    flips: int  # labels that changed
    largest: float  # change of a probability
    where: str = ""  # head and row of the largest change


@dataclass(frozen=True, slots=True)
class Sitting:
    """One bundle, asked the same rows in the same order as the other."""

    manifest: Manifest
    answers: Mapping[str, Sequence[Answer]]  # by the set of rows: holdout, fresh
    neighbours: Neighbours
    milliseconds: Sequence[float]  # (rows of all sets,) of each mail alone

    @property
    def size(self) -> int:
        """Bytes of the bundle's files."""
        return sum(file.size for file in self.manifest.files.values())


def known(answers: Sequence[Answer], head: str) -> list[int]:
    """Numbers of the rows that have a label for the head."""
    return [number for number, one in enumerate(answers) if one.example.labels.get(head) is not None]


def tally_of(sitting: Sitting, head: str, answers: Sequence[Answer], labels: Sequence[str]) -> Tally:
    """Counts of one head over answers that all know it, columns in the order of `labels`."""
    spec = sitting.manifest.heads[head]
    counted = head_tally(head, spec, answers)
    order = np.array([spec.labels.index(label) for label in labels])
    return Tally(tuple(labels), counted.hits[:, order], counted.right[:, order], counted.given[:, order])
