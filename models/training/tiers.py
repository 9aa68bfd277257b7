"""The cheap tier of a bundle in the making: fitted, calibrated, judged beside the model, and written."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from mailweir.models.runtime.bundle import calibrate
from mailweir.models.runtime.graph import Floats, Graph
from mailweir.models.runtime.linear import LINEAR, QUIET, LinearTables, cheap_heads, least_sure
from mailweir.models.text.entities import find_entities
from mailweir.models.text.spans import Span
from mailweir.models.text.terms import term_counts
from mailweir.models.training.answer import Answered, question_f1
from mailweir.models.training.calibrate import fit_spec
from mailweir.models.training.cascade import (
    COST_LIMIT,
    Duel,
    Entities,
    Head,
    Pairs,
    choose_threshold,
    cost_curve,
    thin_out,
)
from mailweir.models.training.cheap import fit_tables, quiet_question
from mailweir.models.training.corpus import MailRow
from mailweir.models.training.heads import Mask, Question
from mailweir.models.training.measure import Indices, Numbers
from mailweir.models.training.prepare import Prepared
from mailweir.models.training.rules import WROTE_WITH, rule_precision
from mailweir.models.training.split import Run
from mailweir.schemas.events import EntityField
from mailweir.schemas.manifest import CheapSpec

Tagged = Sequence[tuple[EntityField, Span]]

_TIMED = 200  # mails that the model's milliseconds are measured on


@dataclass(frozen=True, slots=True)
class Rival:
    """The finished model that the cheap tier is judged beside."""

    model: Path  # the graph as written
    answered: Sequence[Answered]
    precision: dict[str, float]  # of the entity rules, as the bundle uses them
    found: Pairs | None  # entities that tagger and rules find in each row of the validation authors; None: no tagger
    only: Mapping[str, Sequence[str]] | None  # labels of mail that may stop: what gets no summary; None: all


@dataclass(frozen=True, slots=True)
class _Fitted:
    """The cheap model, and what it says of the rows that neither tier was fitted on."""

    tables: LinearTables
    logits: Floats  # (rows, columns); NaN for the other rows
    milliseconds: float  # of one mail


def add_cheap_tier(folder: Path, run: Run, ready: Prepared, rival: Rival) -> tuple[CheapSpec | None, dict[str, Any]]:
    """Write `linear.npz` into `folder`; the tier's temperatures, threshold and curve, and its figures. None: not wanted."""
    if not run.recipe.cheap:
        return None, {}
    rules = rival.precision if rival.found is None else _rules_alone(run)
    ruled = [pairs(row, rules) for row in run.rows]
    marked = [{(mark.type, mark.text) for mark in row.entities} for row in run.rows]
    quiet = np.array([marks <= finds for marks, finds in zip(marked, ruled, strict=True)])
    questions = [answered.question for answered in rival.answered]
    asked = questions if rival.found is None else [*questions, quiet_question(quiet)]
    fitted = _fit(run, ready, asked)
    fitted.tables.save(folder / LINEAR)
    columns = list(_by_question(asked, fitted.logits))
    temperatures = {question.name: fit_spec(question, part, 0.0).temperature for question, part in columns}
    rows = _judged_rows(fitted, rival.answered)
    found = None
    if rival.found is not None:
        found = Entities([marked[row] for row in rows], rival.found, [ruled[row] for row in rows])
    duel = _duel(run, ready, rival, (fitted, temperatures, rows, found))
    curve = cost_curve(duel)
    threshold = choose_threshold(curve)
    spec = CheapSpec(
        temperatures=temperatures,
        threshold=threshold,
        entity_precision=rules,
        cost_limit=COST_LIMIT,
        curve=thin_out(curve, threshold),
    )
    scores = {q.name: round(question_f1(q, _mask(run, rows), part), 4) for q, part in columns if q.name != QUIET}
    return spec, {"rows": len(rows), "f1": scores}


def pairs(row: MailRow, precision: dict[str, float], tagged: Tagged = ()) -> set[tuple[str, str]]:
    """Entities that the rules find in a row, beside what was tagged."""
    return {(entity.type, entity.text) for entity in find_entities(row.subject, row.body, precision, tagged)}


def _rules_alone(run: Run) -> dict[str, float]:
    """How often each rule is right without a tagger beside it, on authors that are neither read, nor choose, nor test."""
    away = WROTE_WITH | run.recipe.test | set(run.recipe.validation)
    return rule_precision(row for row in run.rows if row.author not in away and row.marks is not None)


def _fit(run: Run, ready: Prepared, questions: Sequence[Question]) -> _Fitted:
    """Fitted on the fitting authors and asked about the validation authors; without those, each fold by the others."""
    mails, split, size = [term_counts(given) for given in ready.inputs], run.split, run.recipe.cheap
    logits = np.full((len(mails), sum(len(question.labels) for question in questions)), np.nan, np.float32)
    folds = [split.validating] if split.validating.any() else split.folds
    with run.steps.step("cheap tier", len(folds) + 1) as advance:
        tables = fit_tables(questions, mails, split.fitting, size)
        advance(1)
        spent = []
        for fold in folds:
            others = split.fitting & ~fold
            judge = tables if split.validating.any() else fit_tables(questions, mails, others, size)
            spent.append(_ask(judge, ready, fold, logits))
            advance(1)
    return _Fitted(tables, logits, float(np.mean(spent)))


def _ask(tables: LinearTables, ready: Prepared, rows: Mask, logits: Floats) -> float:
    """Fill the `rows` of `logits`; milliseconds a mail."""
    start = perf_counter()
    for row in np.flatnonzero(rows):
        logits[row] = tables.logits(ready.inputs[row])
    return (perf_counter() - start) * 1000 / max(int(rows.sum()), 1)


def _by_question(questions: Sequence[Question], logits: Floats) -> Iterator[tuple[Question, Floats]]:
    at = 0
    for question in questions:
        yield question, logits[:, at : (at := at + len(question.labels))]


def _judged_rows(fitted: _Fitted, answered: Sequence[Answered]) -> Indices:
    """Rows that both tiers answered without having been fitted on them."""
    tables = [fitted.logits, *(one.held_out for one in answered)]
    return np.flatnonzero(~np.logical_or.reduce([np.isnan(table).any(axis=1) for table in tables]))


def _duel(
    run: Run,
    ready: Prepared,
    rival: Rival,
    cheap: tuple[_Fitted, dict[str, float], Indices, Entities | None],
) -> Duel:
    fitted, temperatures, rows, found = cheap
    specs = cheap_heads({one.question.name: one.spec for one in rival.answered}, temperatures)
    said, at = {}, 0
    for name, spec in specs.items():
        said[name] = calibrate(fitted.logits[rows, at : (at := at + len(spec.labels))], spec)
    sure = [
        least_sure({name: table[place] for name, table in said.items()}, specs, rival.only)
        for place in range(len(rows))
    ]
    heads = [
        Head(one.question.only(rows), one.spec, calibrate(one.held_out[rows], one.spec), said[one.question.name])
        for one in rival.answered
    ]
    times = _model_ms(rival, ready, rows)
    return Duel(heads, found, run.slices(rows), np.array(sure), times, fitted.milliseconds)


def _model_ms(rival: Rival, ready: Prepared, rows: Indices) -> Numbers:
    """(rows,) what the model takes for each: a line through the times of some of them, by their tokens."""
    graph = Graph(rival.model, ready.vocabulary.padding)
    names = [*(one.question.name for one in rival.answered), *(["tags"] if rival.found is not None else [])]
    some = rows[:: max(1, len(rows) // _TIMED)]
    mails = [ready.tokens[row].ids for row in some]
    spent = {ran.rows[0]: ran.milliseconds for ran in graph.run(mails, names)}
    tokens = np.array([len(mails[place]) for place in spent])
    line = np.polyfit(tokens, np.array(list(spent.values())), 1)
    return np.maximum(np.polyval(line, np.array([len(ready.tokens[row].ids) for row in rows])), 0.0)


def _mask(run: Run, rows: Indices) -> Mask:
    chosen: Mask = np.zeros(len(run.rows), bool)
    chosen[rows] = True
    return chosen
