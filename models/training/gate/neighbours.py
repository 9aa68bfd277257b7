"""Does a bundle's answer depend on what stands beside a mail in its batch? On calibrated answers, refinement included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from mailweir.models.evaluation.heads import given_labels
from mailweir.models.export.parity import MIXED
from mailweir.models.runtime import Scores
from mailweir.models.text.model_input import ModelInput
from mailweir.models.training.gate.sitting import Neighbours
from mailweir.schemas.manifest import Manifest

__all__ = ["Classifier", "neighbours"]


class Classifier(Protocol):
    """A bundle, as far as it is asked here."""

    manifest: Manifest

    def classify(self, inputs: Sequence[ModelInput], *, token_budget: int = ...) -> list[Scores]:
        """Scores in input order."""


def neighbours(bundle: Classifier, inputs: Sequence[ModelInput]) -> Neighbours:
    """Every mail alone against mixed padded batches: in order, reversed, and beside the longest one."""
    alone = bundle.classify(inputs, token_budget=1)
    longest = max(inputs, key=lambda given: len(given.text))
    mixed = bundle.classify(inputs, token_budget=MIXED)
    reverse = bundle.classify(inputs[::-1], token_budget=MIXED)[::-1]
    beside = [bundle.classify([given, longest], token_budget=MIXED)[0] for given in inputs]
    return _compare(alone, (mixed, reverse, beside), bundle.manifest)


def _compare(alone: Sequence[Scores], others: Sequence[Sequence[Scores]], manifest: Manifest) -> Neighbours:
    flips, largest, where = 0, 0.0, ""
    for head, spec in manifest.heads.items():
        before = np.stack([one.heads[head] for one in alone])
        for other in others:
            after = np.stack([one.heads[head] for one in other])
            moved = np.abs(after - before).max(axis=1)
            flips += int((given_labels(before, spec) != given_labels(after, spec)).any(axis=1).sum())
            if moved.max() > largest:
                largest, where = float(moved.max()), f"{head}, row {int(moved.argmax()) + 1}"
    return Neighbours(len(alone), flips, largest, where)
