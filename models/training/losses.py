"""Losses of the heads and of the tagger."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mailweir.models.training.heads import Question
from mailweir.models.training.tags import UNKNOWN

_TAGS = 10  # most tokens are outside: as it is, the loss of tags would weigh a tenth of a head's
_MANY = 3  # most labels of a head of many are absent, which makes its loss small as well


def label_weights(questions: Sequence[Question], power: float) -> list[Tensor]:
    """Per head (labels,): how much a row of the label counts, 1 on average over the rows."""
    found = []
    for question in questions:
        counts = question.answers[question.known].sum(axis=0) + 1.0
        weights = (counts.mean() / counts) ** power
        found.append(torch.from_numpy(weights * counts.sum() / (weights * counts).sum()).float())
    return found


def head_loss(kind: str, logits: Tensor, answers: Tensor, weights: Tensor, smoothing: float) -> Tensor:
    """Of a head of one, `answers` may allow several labels: the row says "one of these"."""
    if kind == "many":
        return functional.binary_cross_entropy_with_logits(logits, answers, pos_weight=weights * 2) * _MANY
    spoken = functional.log_softmax(logits, dim=1)
    right = torch.logsumexp(spoken.masked_fill(answers == 0, -1e9), dim=1)
    each = -(1 - smoothing) * right - smoothing * spoken.mean(dim=1)
    row = (answers * weights).sum(1) / answers.sum(1)
    return (each * row).sum() / row.sum()


def tag_loss(tags: Tensor, wanted: Sequence[NDArray[np.int64] | None]) -> Tensor:
    """Of (mails, length, tags) logits; None for a mail whose entities were not annotated."""
    targets = np.full(tags.shape[:2], UNKNOWN, np.int64)
    for place, known in enumerate(wanted):
        if known is not None:
            targets[place, : len(known)] = known
    if (targets == UNKNOWN).all():
        return torch.zeros(())
    each = functional.cross_entropy(tags.flatten(0, 1), torch.from_numpy(targets).flatten(), ignore_index=UNKNOWN)
    return each * _TAGS
