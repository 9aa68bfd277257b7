"""Losses of the heads and of the tagger."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mailweir.models.training.heads import Question
from mailweir.models.training.tags import UNKNOWN
from mailweir.models.training.tuning import Tuning

_TAGS = 10  # most tokens are outside: as it is, the loss of tags would weigh a tenth of a head's
_MANY = 3  # most labels of a head of many are absent, which makes its loss small as well


def label_weights(questions: Sequence[Question], power: float) -> list[Tensor]:
    """Per head (labels,): how much a row of the label counts, 1 on average over the rows.

    A row of a head of one that allows several labels is counted as a part of each.
    """
    found = []
    for question in questions:
        answers = question.answers[question.known].astype(np.float64)
        if question.kind == "one":
            answers /= np.maximum(answers.sum(axis=1, keepdims=True), 1)
        counts = answers.sum(axis=0) + 1.0
        weights = (counts.mean() / counts) ** power
        found.append(torch.from_numpy(weights * counts.sum() / (weights * counts).sum()).float())
    return found


def head_loss(kind: str, logits: Tensor, answers: Tensor, weights: Tensor, tuning: Tuning) -> Tensor:
    """Of a head of one, `answers` may allow several labels: the row says "one of these".

    Focal (Lin et al., 2017, arXiv 1708.02002): each answer's loss is multiplied by (1 - p) ** gamma, p being the probability
    of what is right.
    """
    if kind == "many":
        return _many_loss(logits, answers, weights, tuning.focal) * _MANY
    spoken = functional.log_softmax(logits, dim=1)
    right = torch.logsumexp(spoken.masked_fill(answers == 0, -1e9), dim=1)
    each = -(1 - tuning.smoothing) * right * _focus(right, tuning.focal) - tuning.smoothing * spoken.mean(dim=1)
    row = (answers * weights).sum(1) / answers.sum(1)
    return (each * row).sum() / row.sum()


def _many_loss(logits: Tensor, answers: Tensor, weights: Tensor, focal: float) -> Tensor:
    each = functional.binary_cross_entropy_with_logits(logits, answers, pos_weight=weights * 2, reduction="none")
    right = functional.logsigmoid(torch.where(answers > 0, logits, -logits))
    return (each * _focus(right, focal)).mean()


def _focus(right: Tensor, focal: float) -> Tensor | float:
    """(1 - p) ** gamma from log p; the least distance keeps the gradient of a sure answer finite."""
    return (1 - right.exp()).clamp(min=1e-6) ** focal if focal else 1.0


def tag_loss(tags: Tensor, wanted: Sequence[NDArray[np.int64] | None]) -> Tensor:
    """Of (mails, length, tags) logits; None for a mail whose entities were not annotated."""
    targets = np.full(tags.shape[:2], UNKNOWN, np.int64)
    for place, known in enumerate(wanted):
        if known is not None:
            targets[place, : len(known)] = known
    if (targets == UNKNOWN).all():
        return torch.zeros((), device=tags.device)
    wanted_tags = torch.from_numpy(targets).to(tags.device).flatten()
    each = functional.cross_entropy(tags.flatten(0, 1), wanted_tags, ignore_index=UNKNOWN)
    return each * _TAGS
