"""Everything that is reported about a trained bundle."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mailweir.models.export.encoder import write_classifier
from mailweir.models.export.parity import agreement, cell_agreement, invariance
from mailweir.models.export.weights import Floats
from mailweir.models.runtime.bundle import calibrate
from mailweir.models.runtime.graph import Graph
from mailweir.models.training.answer import Answered, Fitted
from mailweir.models.training.baselines import majority, word_counts
from mailweir.models.training.evaluate import ALL, figures
from mailweir.models.training.heads import Mask
from mailweir.models.training.measure import macro_f1
from mailweir.models.training.prepare import Prepared, row_input
from mailweir.models.training.split import Run
from mailweir.schemas.manifest import HeadSpec

_INVARIANCE_MAILS = 64


def head_results(run: Run, ready: Prepared, fitted: Fitted, model: Path) -> dict[str, Any]:
    """Figures of the written graph `model` on the test authors, its parity with fp32, and what held-out authors gave."""
    languages, test, answered = run.languages, run.split.testing, fitted.answered
    results: dict[str, Any] = {"test": {}, "parity": {}, "held_out": {}}
    for a in answered:
        held_out: Mask = np.asarray(~np.isnan(a.held_out).any(axis=1))
        results["held_out"][a.question.name] = figures(a.question, a.held_out, a.spec, held_out, languages)[ALL]
    if not test.any():
        return results
    with run.steps.step("figures of the written graph", 2) as advance:
        served = graph_logits(model, ready, answered, test)
        advance(1)
        with tempfile.TemporaryDirectory() as folder:
            reference_model = Path(folder) / "reference.onnx"
            write_classifier(reference_model, fitted.encoder, [a.head for a in answered])
            reference = graph_logits(reference_model, ready, answered, test)
        advance(1)
    for a in answered:
        name = a.question.name
        results["test"][name] = figures(a.question, served[name], a.spec, test, languages)
        before = figures(a.question, reference[name], a.spec, test, languages)[ALL]
        same = _agreement(a.spec, reference[name][test], served[name][test])
        results["parity"][name] = _parity(before, results["test"][name][ALL]) | {"agreement": round(same, 4)}
    return results


def graph_invariance(model: Path, ready: Prepared, answered: Sequence[Answered]) -> dict[str, Any]:
    """How far answers move with the neighbours in a batch."""
    names = [a.question.name for a in answered]
    found = invariance(Graph(model, ready.vocabulary.padding), ready.mails[-_INVARIANCE_MAILS:], names)
    return {"mails": found.mails, "flips": found.flips, "largest_logit_difference": found.largest}


def graph_logits(model: Path, ready: Prepared, answered: Sequence[Answered], rows: Mask) -> dict[str, Floats]:
    """Per head (all rows, labels) as the graph gives them for `rows`; NaN elsewhere."""
    graph, chosen = Graph(model, ready.vocabulary.padding), np.nonzero(rows)[0]
    tables = {a.question.name: np.full(a.question.answers.shape, np.nan, np.float32) for a in answered}
    for ran in graph.run([ready.tokens[row].ids for row in chosen], list(tables)):
        for table, values in zip(tables.values(), ran.outputs, strict=True):
            table[chosen[list(ran.rows)]] = values
    return tables


def _agreement(spec: HeadSpec, reference: Floats, served: Floats) -> float:
    if spec.kind == "one":
        return agreement(reference, served)
    limits = np.array([spec.thresholds.get(label, spec.threshold) for label in spec.labels])
    return cell_agreement(calibrate(reference, spec), calibrate(served, spec), limits)


def _parity(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    score = "macro_f1" if "macro_f1" in before else "micro_f1"
    return {score: {"fp32": before[score], "int8": after[score]}}


def baselines(run: Run, answered: Sequence[Answered]) -> Mapping[str, Any]:
    """Macro-F1 per head and language of always the commonest label, and of counted words, on the test authors."""
    questions = [a.question for a in answered if a.question.kind == "one"]
    words = word_counts(questions, [row_input(row).text for row in run.rows], run.split.fitting)
    spoken, test = np.array(run.languages), run.split.testing
    found: dict[str, Any] = {}
    for question in questions:
        for language in sorted(set(spoken[test])):
            used = test & question.known & (spoken == language)
            scores = {
                name: round(macro_f1(question.best[used], given[used], len(question.labels)), 4)
                for name, given in (
                    ("majority", majority(question, run.split.fitting)),
                    ("words", words[question.name]),
                )
            }
            found.setdefault(question.name, {})[language] = scores
    return found
