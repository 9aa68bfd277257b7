"""When to stop: a halting head fitted on held-out rows, and the rules that it is compared with.

The paper halts where the answer is thought right. A mail whose label nobody can tell would then take every step for nothing, so
what is fitted here is another question: will a later step do better than this one?
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from mailweir.models.export.weights import Affine, Floats
from mailweir.models.training.heads import Mask, Question
from mailweir.models.training.network import pad_rows
from mailweir.models.training.states import Halves
from mailweir.models.training.trm import Trm

_C = 0.03  # strength of the regression: some hundred rows for 134 features
_LIMITS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98)

Taken = NDArray[np.int64]
"""(rows,) the step at which each row halts, from 0."""


@dataclass(frozen=True, slots=True)
class Walked:
    """Rows after every step."""

    logits: Floats  # (steps, rows, labels), what is answered: the plain heads' and the net's, added
    features: Floats  # (steps, rows, features), what the halting head reads


@dataclass(frozen=True, slots=True)
class Rule:
    """A halting rule at one limit and what it leads to on rows that it was not fitted on."""

    name: str
    limit: float | None
    taken: Taken


def walk(network: Trm, states: Sequence[Halves], plain: Floats) -> Walked:
    """Every step of `network` over rows whose own heads say `plain`, (rows, labels)."""
    logits, features = [], []
    network.eval()
    with torch.no_grad():
        for row in states:
            padded, mask = pad_rows([row], 0)
            ys = network.walk(padded.float(), mask)
            said = [network.logits(y) for y in ys]
            logits.append(torch.cat(said).numpy())
            features.append(torch.cat([network.features(y, one) for y, one in zip(ys, said, strict=True)]).numpy())
    return Walked(np.stack(logits, axis=1) + plain, np.stack(features, axis=1))


def rights(questions: Sequence[Question], rows: Mask, logits: Floats) -> NDArray[np.int64]:
    """(steps, rows): how many heads are right; a head that the annotator could not decide counts as right."""
    found = np.zeros(logits.shape[:2], np.int64)
    parts = np.split(logits, np.cumsum([len(q.labels) for q in questions])[:-1], axis=2)
    for question, part in zip(questions, parts, strict=True):
        answers, unknown = question.answers[rows], ~question.known[rows]
        right = (
            (part > 0) == (answers == 1)
            if question.kind == "many"
            else part.argmax(axis=2)[..., None] == answers.argmax(axis=1)[:, None]
        )
        found += right.all(axis=2) | unknown
    return found


def nothing_to_gain(right: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(steps, rows): no later step has more heads right."""
    best_later = np.maximum.accumulate(right[::-1])[::-1]
    return np.asarray(best_later <= right)


def fit_halt(features: Floats, wanted: NDArray[np.bool_]) -> Affine:
    """A logistic regression of (samples, features) on (samples,); kernel (features, 1). One that never differs says so always."""
    width = features.shape[-1]
    if wanted.all() or not wanted.any():
        bias = np.full(1, 20.0 if wanted.all() else -20.0, np.float32)
        return Affine(np.zeros((width, 1), np.float32), bias)
    centre, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    model = LogisticRegression(C=_C, max_iter=500).fit((features - centre) / spread, wanted)
    kernel = (model.coef_[0] / spread)[:, None]
    return Affine(kernel.astype(np.float32), (model.intercept_ - centre @ kernel).astype(np.float32))


def chance(halt: Affine, features: Floats) -> Floats:
    """What the halting head says of (..., features)."""
    return np.asarray(1 / (1 + np.exp(-(features @ halt.kernel[:, 0] + halt.bias[0]))), np.float32)


def rules(walked: Walked, questions: Sequence[Question], rows: Mask, folds: Sequence[Mask]) -> Iterator[Rule]:
    """Every rule at every limit; the fitted ones answer each fold of the rows from the others. `folds` are masks over the rows."""
    steps = len(walked.logits)
    for step in range(steps):
        yield Rule(f"always {step + 1}", None, np.full(walked.logits.shape[1], step))
    right = rights(questions, rows, walked.logits)
    scores = {
        "nothing to gain (fitted)": _crossed(walked.features, nothing_to_gain(right), folds),
        "all heads right (fitted, as in the paper)": _crossed(walked.features, right == len(questions), folds),
        "least certain head": _least_certain(walked.logits, questions),
    }
    for name, score in scores.items():
        for limit in _LIMITS:
            yield Rule(name, limit, first_above(score, limit))
    yield Rule("same answers as a step ago", None, first_above(_unchanged(walked.logits, questions), 0.5))


def first_above(score: Floats | NDArray[np.bool_], limit: float) -> Taken:
    """(rows,) the first step whose score, (steps, rows), is at or above the limit; the last one if none is."""
    good = np.asarray(score >= limit)
    good[-1] = True
    return np.asarray(good.argmax(axis=0), np.int64)


def exits(logits: Floats, taken: Taken) -> Floats:
    """(rows, labels): of (steps, rows, labels), each row's answer at its step."""
    return logits[taken, np.arange(len(taken))]


def _crossed(features: Floats, wanted: NDArray[np.bool_], folds: Sequence[Mask]) -> Floats:
    """(steps, rows): each fold scored by a halting head of the others."""
    found = np.zeros(wanted.shape, np.float32)
    for fold in folds:
        halt = fit_halt(features[:, ~fold].reshape(-1, features.shape[-1]), wanted[:, ~fold].ravel())
        found[:, fold] = chance(halt, features[:, fold])
    return found


def _least_certain(logits: Floats, questions: Sequence[Question]) -> Floats:
    parts = np.split(logits, np.cumsum([len(q.labels) for q in questions])[:-1], axis=2)
    ones = [part for question, part in zip(questions, parts, strict=True) if question.kind == "one"]
    return np.asarray(np.stack([softmax(part, axis=2).max(axis=2) for part in ones]).min(axis=0), np.float32)


def _unchanged(logits: Floats, questions: Sequence[Question]) -> NDArray[np.bool_]:
    same = np.ones(logits.shape[:2], bool)
    same[0] = False
    for question, part in zip(
        questions, np.split(logits, np.cumsum([len(q.labels) for q in questions])[:-1], axis=2), strict=True
    ):
        if question.kind == "one":
            given = part.argmax(axis=2)
            same[1:] &= given[1:] == given[:-1]
        else:
            same[1:] &= ((part[1:] > 0) == (part[:-1] > 0)).all(axis=2)
    return same
