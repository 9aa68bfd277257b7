"""Figures of one head over answered rows: as a whole, by slice, calibration, coverage, confusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mailweir.models.evaluation.answers import Answer
from mailweir.models.evaluation.certainty import Calibration, Coverage, calibration, coverage
from mailweir.models.evaluation.tally import Measured, Tally, measure
from mailweir.schemas.manifest import HeadSpec

__all__ = ["HeadFigures", "Sliced", "head_tally", "measure_head", "measure_slices"]

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sliced:
    """One question over all rows that answer it, then over parts of them."""

    all: Measured
    language: Mapping[str, Measured]
    source: Mapping[str, Measured]
    length: Mapping[str, Measured]


@dataclass(frozen=True, slots=True)
class HeadFigures:
    """Everything about one head."""

    kind: Literal["one", "many"]
    labels: tuple[str, ...]
    figures: Sliced
    calibration: Calibration
    coverage: Coverage | None  # of a head of one
    confusion: tuple[tuple[int, ...], ...] | None  # of a head of one: rows are the truth, columns the answer


def measure_head(name: str, spec: HeadSpec, answers: Sequence[Answer]) -> HeadFigures | None:
    """Figures over the answers whose row has a label for the head; None if there are none."""
    known = [answer for answer in answers if answer.example.labels.get(name) is not None]
    if not known:
        return None
    probabilities = np.stack([answer.scores.heads[name] for answer in known])
    tally = head_tally(name, spec, known)
    right, given, sliced = tally.right, tally.given, measure_slices(tally, known)
    if spec.kind == "many":
        return HeadFigures(
            "many", spec.labels, sliced, calibration(probabilities.ravel(), right.ravel() > 0), None, None
        )
    best = right.argmax(axis=1)
    sure = calibration(probabilities.max(axis=1), probabilities.argmax(axis=1) == best)
    confusion = tuple(tuple(int(count) for count in row) for row in right.T @ given)
    return HeadFigures("one", spec.labels, sliced, sure, coverage(probabilities, best, spec.threshold), confusion)


def head_tally(name: str, spec: HeadSpec, answers: Sequence[Answer]) -> Tally:
    """Counts of one head over answers that all have a label for it."""
    probabilities = np.stack([answer.scores.heads[name] for answer in answers])
    right = _right_table([answer.example.labels[name] for answer in answers], spec.labels)
    given = given_labels(probabilities, spec)
    return Tally(spec.labels, right * given, right, given)


def measure_slices(tally: Tally, answers: Sequence[Answer]) -> Sliced:
    """Figures of all rows of `tally`, and by what the answers' rows say of themselves."""
    examples = [answer.example for answer in answers]
    return Sliced(
        measure(tally),
        _by(tally, [example.language for example in examples]),
        _by(tally, [example.source for example in examples]),
        _by(tally, [example.length for example in examples]),
    )


def given_labels(probabilities: NDArray[np.float64], spec: HeadSpec) -> NDArray[np.float64]:
    """(rows, labels): 1 where the bundle gives the label, by its own thresholds where it may give many."""
    if spec.kind == "many":
        return np.asarray(probabilities >= np.array(spec.limits), float)
    return np.asarray(np.eye(len(spec.labels))[probabilities.argmax(axis=1)])


def _right_table(values: Sequence[str | tuple[str, ...] | None], labels: Sequence[str]) -> NDArray[np.float64]:
    chosen = [(value,) if isinstance(value, str) else value or () for value in values]
    return np.array([[float(label in given) for label in labels] for given in chosen])


def _by(tally: Tally, names: Sequence[str]) -> dict[str, Measured]:
    column = np.array(names)
    return {name: measure(tally.only(column == name)) for name in sorted(set(names), key=_by_number)}


def _by_number(name: str) -> tuple[int, str]:
    """Bands by their first number, other names by the alphabet; what has no number comes last."""
    first = name.partition("-")[0]
    return (int(first) if first.isdecimal() else 1_000_000, name)
