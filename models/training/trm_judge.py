"""Judges a refinement: against the plain heads, one step and counted words; which heads it wins, how many steps it is worth."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mailweir.models.export.weights import Floats
from mailweir.models.runtime.graph import Graph
from mailweir.models.runtime.refine import STATES, Refiner
from mailweir.models.training.baselines import word_counts
from mailweir.models.training.contest import MEAN, Contest, Given, answers, differences, interval
from mailweir.models.training.halting import Walked, exits, rules
from mailweir.models.training.heads import Mask
from mailweir.models.training.prepare import row_input
from mailweir.models.training.trm_bench import Bench
from mailweir.models.training.trm_train import HEADS, ONE, TRM, Fit, last

WORDS, PLAIN = "TF-IDF + linear", "plain heads"
BESIDE_ONE, BESIDE_ALL = "plain heads + one step", "plain heads + all steps"
PAIRS = ((BESIDE_ONE, PLAIN), (BESIDE_ALL, PLAIN), (BESIDE_ALL, BESIDE_ONE), (TRM, ONE), (ONE, HEADS))

Systems = Mapping[str, Sequence[Given]]
"""Per system what it answers with each seed."""


def systems_of(bench: Bench, fits: Mapping[str, Sequence[Fit]]) -> Systems:
    """What every system answers to the rows that nothing was fitted on.

    A head of many takes its thresholds for a validation author from the others, and for the test authors from all of them.
    """
    lesson = bench.lesson
    pairs = [*crossed(lesson.validating, bench.folds), (lesson.validating, bench.testing)]

    def said(tables: Sequence[Floats]) -> list[Given]:
        return [answers(lesson.questions, table, pairs) for table in tables]

    found = {WORDS: [_words(bench)], PLAIN: said([bench.plain])}
    found |= {name: said(last(fits[name])) for name in (HEADS, ONE, TRM)}
    for name, alone in ((BESIDE_ONE, ONE), (BESIDE_ALL, TRM)):
        found[name] = said([bench.plain + table for table in last(fits[alone])])
    return found


def comparison(bench: Bench, systems: Systems, rows: Mask) -> dict[str, Any]:
    """F1 of every system on `rows` and differences of the pairs, per head, with intervals."""
    contest = Contest(bench.lesson.questions, rows)
    scores = {name: contest.scores(seeds) for name, seeds in systems.items()}
    return {
        "f1": {name: {head: interval(d).figures for head, d in heads.items()} for name, heads in scores.items()},
        "less": {
            f"{ours} less {theirs}": {h: i.figures for h, i in differences(scores[ours], scores[theirs]).items()}
            for ours, theirs in PAIRS
        },
    }


def gate(bench: Bench, systems: Systems) -> tuple[str, tuple[str, ...]]:
    """`ONE` or `TRM`, and the heads that are refined by its first seed, which is the one that is written.

    More than one step only if the whole interval of their gain in mean F1 over one step is above zero, over all seeds; a head only
    if that of the gain over the plain head is, for the first seed and for all together. All on the validation authors.
    """
    contest = Contest(bench.lesson.questions, bench.lesson.validating)
    scores = {name: contest.scores(seeds) for name, seeds in systems.items()}
    more = interval(scores[BESIDE_ALL][MEAN] - scores[BESIDE_ONE][MEAN]).above
    refined = BESIDE_ALL if more else BESIDE_ONE
    written, every = (
        differences(found, scores[PLAIN]) for found in (contest.scores(systems[refined][:1]), scores[refined])
    )
    won = (q.name for q in bench.lesson.questions if written[q.name].above and every[q.name].above)
    return TRM if more else ONE, tuple(won)


def halting_figures(bench: Bench, walked: Walked) -> list[dict[str, Any]]:
    """Per rule and limit the mean number of steps and the mean F1 of the heads on the validation rows."""
    questions, rows = bench.lesson.questions, bench.lesson.validating
    contest, found = Contest(questions, rows, draws=1), []
    for rule in rules(walked, questions, rows, bench.folds):
        table = np.full((len(rows), walked.logits.shape[2]), np.nan, np.float32)
        table[rows] = exits(walked.logits, rule.taken)
        reached = contest.scores([answers(questions, table, list(crossed(rows, bench.folds)))])[MEAN][0]
        mean_steps = round(float(rule.taken.mean()) + 1, 3)
        found.append({"rule": rule.name, "limit": rule.limit, "steps": mean_steps, "mean_f1": round(float(reached), 4)})
    return found


def crossed(rows: Mask, folds: Sequence[Mask]) -> Iterator[tuple[Mask, Mask]]:
    """Pairs of masks over all rows: the others of `rows`, and a fold of it. `folds` are masks over `rows`."""
    places = np.flatnonzero(rows)
    for fold in folds:
        judged = np.zeros(len(rows), bool)
        judged[places[fold]] = True
        yield rows & ~judged, judged


@dataclass(frozen=True, slots=True)
class Served:
    """What the graphs gave to the rows that nothing was fitted on."""

    logits: Floats  # (rows, all labels) that the steps add; NaN elsewhere
    steps: NDArray[np.int64]  # (rows,); 0 elsewhere
    milliseconds: float  # median per mail


def serve(bench: Bench, refiners: Mapping[str, Refiner]) -> tuple[dict[str, Served], float]:
    """Run encoder and steps as serving does, mail by mail, on one thread; and the encoder's median milliseconds."""
    rows = np.flatnonzero(bench.judged).tolist()
    logits = {name: np.full(bench.plain.shape, np.nan, np.float32) for name in refiners}
    steps = {name: np.zeros(len(bench.plain), np.int64) for name in refiners}
    spent: dict[str, list[float]] = {name: [] for name in refiners}
    encoding = []
    graph = Graph(bench.model, bench.manifest.input.pad_id)
    for ran in graph.run([bench.mails[row] for row in rows], [STATES, *bench.manifest.heads]):
        encoding.append(ran.milliseconds)
        row = rows[ran.rows[0]]
        for name, refiner in refiners.items():
            start = perf_counter()
            refined = refiner.refine(ran.outputs[0], np.ones((1, len(bench.mails[row])), np.int64))
            spent[name].append((perf_counter() - start) * 1000)
            logits[name][row], steps[name][row] = np.concatenate(refined.logits, axis=1)[0], refined.steps[0]
    found = {name: Served(logits[name], steps[name], float(np.median(spent[name]))) for name in refiners}
    return found, float(np.median(encoding))


def _words(bench: Bench) -> Given:
    ones = [question for question in bench.lesson.questions if question.kind == "one"]
    texts = [row_input(row).text for row in bench.rows]
    said = word_counts(ones, texts, bench.lesson.fitting)
    return {q.name: np.eye(len(q.labels), dtype=np.int64)[said[q.name]] for q in ones}
