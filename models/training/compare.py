"""Sets of options against the recipe as it is: each tried on the same part of the rows, judged on the same validation authors.

What a trial answered is kept in a file beside the checkpoints, so that a comparison that was cut off goes on after the last
finished one. The test authors have no part in it.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mailweir.models.training.answer import questions_of
from mailweir.models.training.contest import MEAN, Contest, Interval, interval
from mailweir.models.training.corpus import MailRow
from mailweir.models.training.e5 import read_base
from mailweir.models.training.heads import Question
from mailweir.models.training.machine import this_machine
from mailweir.models.training.prepare import Prepared, prepare
from mailweir.models.training.recipe import Recipe, Steps, progress_bars
from mailweir.models.training.sets import Options
from mailweir.models.training.split import Run, Split
from mailweir.models.training.train import Given
from mailweir.models.training.trial import HEADS_EPOCHS, Subset, attempt, subset_of
from mailweir.models.training.tuned import score_of
from mailweir.schemas.errors import InputError

KEPT = "compare.jsonl"
Bits = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the table."""

    options: str
    f1: Mapping[str, float]  # per head
    mean: float
    difference: Interval | None  # of the mean, less the recipe as it is; None for itself
    minutes: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """The table: first the recipe as it is."""

    part: int
    epochs: int
    rows: int  # learned from
    validated: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much of a whole run a trial is."""

    part: int  # of the rows to learn from, one in so many
    epochs: int


def compare(
    rows: Sequence[MailRow], recipe: Recipe, given: Given, sets: Sequence[Options], effort: Effort
) -> Comparison:
    """Try each of `sets`, of which the first is the recipe as it is; finished trials are read from `given.checkpoints`.

    Raises:
        InputError: no row is by a validation author, there is no folder, or its file is broken.
        ImportError: the base model's package is missing.
    """
    if given.checkpoints is None:
        raise InputError("a comparison keeps its trials: name a folder for them")
    split = Split.by_author(rows, recipe.folds, recipe.test, recipe.validation)
    if not split.validating.any():
        wanted = ", ".join(recipe.validation)
        raise InputError(f"options are compared on validation authors, and no row is by one of: {wanted}")
    trials = _Trials(given.checkpoints / KEPT)
    with progress_bars(hidden=given.quiet) as progress:
        run = Run(rows, split, recipe, Steps(progress))
        ready = prepare(given.base or read_base(recipe.layers), run)
        run.steps.say(this_machine().line)
        subsets = [_subset(run, ready, given, one, effort) for one in sets]
        tried = [trials.done(run, ready, subset, one, effort) for subset, one in zip(subsets, sets, strict=True)]
    learned, judged = int((~subsets[0].validating).sum()), int(split.validating.sum())
    return Comparison(effort.part, effort.epochs, learned, judged, _entries(run, sets, tried))


@dataclass(frozen=True, slots=True)
class _Tried:
    minutes: float
    answers: Bits  # (validation rows, labels of all heads)


class _Trials:
    """The trials that are finished, a line of JSON for each."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lines = [_line(file, n, text) for n, text in enumerate(_texts(file), 1)]

    def done(self, run: Run, ready: Prepared, subset: Subset, one: Options, effort: Effort) -> _Tried:
        """The answers of a trial, made now unless they are there."""
        key = f"{subset.key(one.tuning)} {effort.epochs} epochs, {run.recipe.layers} layers, {run.recipe.base}"
        width = sum(len(question.labels) for question in questions_of(run))
        shape = (int(subset.validating.sum()), width)
        kept = next((line for line in self._lines if line["key"] == key), None)
        if kept is None:
            kept = {"key": key, "options": one.written} | _packed(_try(run, ready, subset, one, effort))
            self._keep(kept)
        return _Tried(kept["minutes"], self._unpacked(kept, shape))

    def _unpacked(self, kept: dict[str, Any], shape: tuple[int, int]) -> Bits:
        """What a kept trial answered; a line that was cut short would otherwise count as answers of 0."""
        try:
            packed = np.frombuffer(base64.b64decode(kept["answers"], validate=True), np.uint8)
        except (ValueError, TypeError) as error:
            raise _broken(self._file, self._lines.index(kept) + 1) from error
        if len(packed) != -(-shape[0] * shape[1] // 8):
            raise _broken(self._file, self._lines.index(kept) + 1)
        return np.unpackbits(packed, count=shape[0] * shape[1]).reshape(shape)

    def _keep(self, line: dict[str, Any]) -> None:
        self._lines.append(line)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_suffix(".new")
        fresh.write_text("".join(json.dumps(one) + "\n" for one in self._lines), encoding="utf-8")
        fresh.replace(self._file)


def _texts(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []


def _line(file: Path, number: int, text: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(text)
        return {name: found[name] for name in ("key", "options", "minutes", "answers")}
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise _broken(file, number) from error


def _broken(file: Path, number: int) -> InputError:
    return InputError(f"{file}:{number} is no trial: delete the line, or the file to start anew")


def _packed(tried: _Tried) -> dict[str, Any]:
    return {"minutes": tried.minutes, "answers": base64.b64encode(np.packbits(tried.answers).tobytes()).decode()}


def _subset(run: Run, ready: Prepared, given: Given, one: Options, effort: Effort) -> Subset:
    """The same rows for every set; other forms of them as many as it asks for."""
    return subset_of(_with(run, one), ready, effort.part, given.public)


def _with(run: Run, one: Options) -> Run:
    return replace(run, recipe=replace(run.recipe, tuning=one.tuning))


def _try(run: Run, ready: Prepared, subset: Subset, one: Options, effort: Effort) -> _Tried:
    start = perf_counter()
    mails = int((~subset.validating).sum()) * (HEADS_EPOCHS + effort.epochs)
    with run.steps.step(one.written, mails) as advance:
        tuner = attempt(run, ready, subset, (one.tuning, effort.epochs), score_of(run), lambda done, _: advance(done))
    logits, _ = tuner.logits([int(row) for row in np.flatnonzero(subset.validating)])
    minutes = (perf_counter() - start) / 60
    best = max(epoch.score for epoch in tuner.history if epoch.phase == "adapters")
    run.steps.say(f"{one.written}: mean F1 {best:.4f} after {minutes:.1f} minutes")
    return _Tried(minutes, _answers(questions_of(run), logits))


def _answers(questions: Sequence[Question], logits: NDArray[np.float32]) -> Bits:
    """(rows, labels of all heads): the highest label of a head of one, every label above even odds of a head of many."""
    found = []
    for question, part in zip(questions, _split(questions, logits), strict=True):
        chosen = np.eye(len(question.labels), dtype=np.uint8)[part.argmax(axis=1)]
        found.append(chosen if question.kind == "one" else (part > 0).astype(np.uint8))
    return np.concatenate(found, axis=1)


def _split(questions: Sequence[Question], table: NDArray[Any]) -> list[NDArray[Any]]:
    return np.split(table, np.cumsum([len(question.labels) for question in questions])[:-1], axis=1)


def _entries(run: Run, sets: Sequence[Options], tried: Sequence[_Tried]) -> tuple[Entry, ...]:
    held = np.flatnonzero(run.split.validating)
    questions = [question.only(held) for question in questions_of(run)]
    contest = Contest(questions, np.ones(len(held), bool))
    names = [question.name for question in questions]
    scores = []
    for one in tried:
        given = dict(zip(names, (part.astype(np.int64) for part in _split(questions, one.answers)), strict=True))
        scores.append(contest.scores([given]))
    return tuple(
        Entry(
            options.written,
            {name: float(score[name][0]) for name in names},
            float(score[MEAN][0]),
            None if score is scores[0] else interval(score[MEAN] - scores[0][MEAN]),
            one.minutes,
        )
        for options, one, score in zip(sets, tried, scores, strict=True)
    )
