"""Temperatures and thresholds, fitted on logits that the served graph gave to mail of held-out authors."""

import numpy as np
from numpy.typing import NDArray

from mailweir.models.export.weights import Floats
from mailweir.models.runtime.bundle import calibrate
from mailweir.models.training.heads import Kind, Question
from mailweir.models.training.measure import Indices, Numbers
from mailweir.schemas.manifest import HeadSpec

_TEMPERATURES = np.geomspace(0.3, 6.0, 200)
_FEWEST = 30  # a threshold that accepts fewer rows than this is chance
_NEVER = 1.0


def fit_spec(question: Question, held_out: Floats, target: float) -> HeadSpec:
    """The head's temperature and thresholds from (rows, labels) logits; rows that are NaN or unknown do not count.

    A head of one gets the lowest threshold above which at least `target` of the answers are right; a head of many gets,
    label by label, the threshold of the best F1.
    """
    used = question.known & ~np.isnan(held_out).any(axis=1)
    scores = held_out[used]
    plain = HeadSpec(kind=question.kind, labels=question.labels, temperature=1.0, threshold=0.0, target=None)
    if question.kind == "many":
        answers = question.answers[used]
        spec = plain.model_copy(update={"temperature": _best_temperature(plain, scores, answers)})
        table = calibrate(scores, spec)
        best = {label: best_f1_threshold(table[:, i], answers[:, i] == 1) for i, label in enumerate(question.labels)}
        return spec.model_copy(update={"threshold": 0.5, "thresholds": best})
    spec = plain.model_copy(update={"temperature": _best_temperature(plain, scores, question.answers[used])})
    threshold = threshold_for(calibrate(scores, spec), question.best[used], target)
    return spec.model_copy(update={"threshold": threshold, "target": target})


def threshold_for(probabilities: Numbers, right: Indices, target: float) -> float:
    """The lowest probability above which at least `target` of the answers are right; 1 if there is none.

    Several answers may share a probability: they are accepted or refused together.
    """
    top = probabilities.max(axis=1)
    order = np.argsort(-top, kind="stable")
    hits = np.cumsum((probabilities.argmax(axis=1) == right)[order])
    accepted = np.arange(1, len(order) + 1)
    last_of_its_value = np.append(np.diff(top[order]) != 0, [True])
    good = (hits / accepted >= target) & (accepted >= min(_FEWEST, len(order))) & last_of_its_value
    return round_down(float(top[order][np.nonzero(good)[0][-1]])) if good.any() else _NEVER


def best_f1_threshold(probabilities: Numbers, right: NDArray[np.bool_]) -> float:
    """The threshold of the highest F1 of one label among many; 1 if the label never occurs."""
    if not right.any():
        return _NEVER
    order = np.argsort(-probabilities, kind="stable")
    hits = np.cumsum(right[order])
    scores = 2 * hits / (np.arange(1, len(order) + 1) + right.sum())
    return round_down(float(probabilities[order][scores.argmax()]))


def round_down(probability: float) -> float:
    """Four digits, never above the probability itself."""
    return float(np.floor(probability * 1e4) / 1e4)


def _best_temperature(spec: HeadSpec, scores: Floats, answers: NDArray[np.int64]) -> float:
    """The temperature of the least log loss (Guo et al., 2017)."""
    tried = [spec.model_copy(update={"temperature": float(temperature)}) for temperature in _TEMPERATURES]
    losses = [_log_loss(calibrate(scores, one), answers, spec.kind) for one in tried]
    return round(tried[int(np.argmin(losses))].temperature, 4)


def _log_loss(probabilities: Numbers, answers: NDArray[np.int64], kind: Kind) -> float:
    likelihood = (
        probabilities[answers == 1] if kind == "one" else np.where(answers == 1, probabilities, 1 - probabilities)
    )
    return float(-np.log(np.clip(likelihood, 1e-12, 1)).mean())
