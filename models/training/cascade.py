"""Where mail may stop at the cheap tier: what each threshold costs, question by question and slice by slice, and saves."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mailweir.models.training.heads import Mask, Question
from mailweir.models.training.measure import ALL, Numbers, macro_f1, micro_f1
from mailweir.schemas.manifest import CurvePoint, HeadSpec

ENTITIES = "entities"
COST_LIMIT = 0.003
"""A mail stops only where this costs less F1 on any question and slice."""

_GRID = np.round(np.arange(0.995, 0.1, -0.005), 3)  # thresholds that are tried, strictest first
_KEPT = 40  # points of the curve that is kept

Pairs = Sequence[set[tuple[str, str]]]  # per row its entities: type, text


@dataclass(frozen=True, slots=True)
class Head:
    """One head as both tiers answer it, on the rows that the cascade is judged by."""

    question: Question
    spec: HeadSpec
    model: Numbers  # (rows, labels) probabilities
    cheap: Numbers


@dataclass(frozen=True, slots=True)
class Entities:
    """Entities of the rows: as annotated, as tagger and rules find them, as the rules alone do."""

    marked: Pairs
    model: Pairs
    cheap: Pairs


@dataclass(frozen=True, slots=True)
class Duel:
    """Both tiers on the same rows, which neither was fitted on."""

    heads: Sequence[Head]
    entities: Entities | None  # None: there is no tagger, both tiers find the same
    slices: Mapping[str, Mask]  # name -> rows; `ALL` is one of them
    sure: Numbers  # (rows,) how sure the cheap tier is of what it is least sure of
    model_ms: Numbers  # (rows,) what the model takes
    cheap_ms: float  # what the cheap tier takes, every mail


def cost_curve(duel: Duel) -> list[CurvePoint]:
    """A point for every threshold at which more mails stop than at the one before; the first stops none."""
    scores = list(_scores(duel))
    nobody = np.zeros(len(duel.sure), bool)
    alone = {name: score(nobody) for name, score in scores}
    points = [_point(duel, 1.0, nobody, (alone, alone))]
    stopped = 0
    for threshold in _GRID:
        stops = duel.sure >= threshold
        if stops.sum() > stopped:
            stopped = int(stops.sum())
            points.append(
                _point(duel, float(threshold), stops, (alone, {name: score(stops) for name, score in scores}))
            )
    return points


def choose_threshold(curve: Sequence[CurvePoint], limit: float = COST_LIMIT) -> float | None:
    """The lowest threshold up to which no point costs `limit` or more and at which time is saved; None if there is none.

    A later point that is cheap again by chance does not count: errors that cancel out are still errors. Every mail pays for the
    cheap tier, so where few stop the model alone is quicker, and right more often.
    """
    chosen = None
    for point in curve:
        if point.cost >= limit:
            break
        chosen = point.threshold if point.milliseconds < curve[0].milliseconds else chosen
    return chosen


def thin_out(curve: Sequence[CurvePoint], threshold: float | None) -> tuple[CurvePoint, ...]:
    """At most `_KEPT` points and the chosen one, dense where few mails stop."""
    places = set(np.unique(np.geomspace(1, len(curve), _KEPT).astype(int) - 1).tolist())
    return tuple(p for place, p in enumerate(curve) if place in places or p.threshold == threshold)


def _point(
    duel: Duel, threshold: float, stops: Mask, scores: tuple[Mapping[str, float], Mapping[str, float]]
) -> CurvePoint:
    alone, both = scores
    costs = {name: alone[name] - both[name] for name in alone if not np.isnan(alone[name])}
    worst = max(costs, key=lambda name: costs[name])
    means = [score for name, score in both.items() if name.endswith(f", {ALL}")]
    milliseconds = duel.cheap_ms * (threshold < 1) + float(np.where(stops, 0.0, duel.model_ms).mean())
    return CurvePoint(
        threshold=threshold,
        stopped=round(float(stops.mean()), 4),
        milliseconds=round(milliseconds, 3),
        mean_f1=round(float(np.mean(means)), 4),
        cost=round(costs[worst], 5),
        at=worst,
    )


def _scores(duel: Duel) -> Iterator[tuple[str, Callable[[Mask], float]]]:
    """Name and F1, given the rows that stop, of every question on every slice."""
    for name, rows in duel.slices.items():
        for head in duel.heads:
            yield f"{head.question.name}, {name}", _head_score(head, rows)
        if duel.entities:
            yield f"{ENTITIES}, {name}", _entity_score(duel.entities, rows)


def _head_score(head: Head, rows: Mask) -> Callable[[Mask], float]:
    question, used = head.question, rows & head.question.known
    if question.kind == "many":
        limits = np.array(head.spec.limits)
        right, model, cheap = question.answers[used] == 1, head.model[used] >= limits, head.cheap[used] >= limits
        return lambda stops: micro_f1(right, np.where(stops[used][:, None], cheap, model))
    best, said, cheaply = question.best[used], head.model[used].argmax(axis=1), head.cheap[used].argmax(axis=1)
    return lambda stops: macro_f1(best, np.where(stops[used], cheaply, said), len(question.labels))


def _entity_score(entities: Entities, rows: Mask) -> Callable[[Mask], float]:
    used = np.flatnonzero(rows)
    marked = _counts(entities.marked, entities.marked, used)[0]
    model, cheap = (_counts(entities.marked, found, used) for found in (entities.model, entities.cheap))

    def score(stops: Mask) -> float:
        hits, given = np.where(stops[used], cheap, model).sum(axis=1)
        both = given + marked.sum()
        return float(2 * hits / both) if both else float("nan")

    return score


def _counts(marked: Pairs, found: Pairs, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(2, rows): how many finds are right, how many there are."""
    pairs = [(len(marked[row] & found[row]), len(found[row])) for row in rows]
    return np.array(pairs, np.int64).reshape(-1, 2).T
