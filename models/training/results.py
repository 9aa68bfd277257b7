"""Everything that is reported about a trained bundle."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mailweir.models.export.encoder import write_classifier
from mailweir.models.export.parity import invariance
from mailweir.models.export.weights import Floats
from mailweir.models.runtime.graph import Graph
from mailweir.models.training.answer import Answered, Fitted
from mailweir.models.training.baselines import majority, word_counts
from mailweir.models.training.fidelity import given_labels, same_answers, slice_parity
from mailweir.models.training.head_figures import figures
from mailweir.models.training.heads import Mask
from mailweir.models.training.measure import ALL, macro_f1
from mailweir.models.training.prepare import Prepared, row_input
from mailweir.models.training.split import Run

_INVARIANCE_MAILS = 64


def head_results(run: Run, ready: Prepared, fitted: Fitted, model: Path) -> dict[str, Any]:
    """Figures of the written graph `model` on the test authors, its parity with fp32, and what held-out authors gave."""
    languages, test, answered = run.languages, run.split.testing, fitted.answered
    results: dict[str, Any] = {"test": {}, "parity": {}, "held_out": {}}
    for a in answered:
        held_out: Mask = np.asarray(~np.isnan(a.held_out).any(axis=1))
        results["held_out"][a.question.name] = figures(a.question, a.held_out, a.spec, held_out, languages)[ALL]
    judged = test | run.split.validating
    if not judged.any():
        return results
    forms = _forms(run, ready, fitted, model, judged)
    results["parity_slices"] = slice_parity(run, answered, forms, judged)
    if not test.any():
        return results
    for a in answered:
        name = a.question.name
        served, reference = forms["int8"][name], forms["fp32"][name]
        results["test"][name] = figures(a.question, served, a.spec, test, languages)
        before = figures(a.question, reference, a.spec, test, languages)[ALL]
        same = same_answers(a.spec, reference[test], served[test])
        results["parity"][name] = _parity(before, results["test"][name][ALL]) | {"agreement": round(same, 4)}
    return results


def _forms(run: Run, ready: Prepared, fitted: Fitted, model: Path, rows: Mask) -> dict[str, Mapping[str, Floats]]:
    """Logits of `rows` by the network in torch where there is one, by the fp32 graph, and by the int8 graph `model`."""
    heads, tuned = [a.head for a in fitted.answered], run.recipe.tuning is not None
    forms: dict[str, Mapping[str, Floats]] = {}
    with run.steps.step("parity of the written graph", 2 + tuned) as advance:
        if tuned:
            from mailweir.models.training.reference_graph import torch_logits  # torch: seconds to import

            forms["torch"] = torch_logits(fitted.encoder, heads, ready.mails, np.flatnonzero(rows))
            advance(1)
        with tempfile.TemporaryDirectory() as folder:
            write_classifier(Path(folder) / "reference.onnx", fitted.encoder, heads)
            forms["fp32"] = graph_logits(Path(folder) / "reference.onnx", ready, fitted.answered, rows)
        advance(1)
        forms["int8"] = graph_logits(model, ready, fitted.answered, rows)
    return forms


def graph_invariance(model: Path, ready: Prepared, answered: Sequence[Answered]) -> dict[str, Any]:
    """How far answers move with the neighbours in a batch, on mails of all authors: the corpus stands in their order."""
    chosen = np.linspace(0, len(ready.mails) - 1, min(_INVARIANCE_MAILS, len(ready.mails))).astype(int)
    graph, names = Graph(model, ready.vocabulary.padding), [a.question.name for a in answered]
    specs = [a.spec for a in answered]
    found = invariance(graph, [ready.mails[row] for row in chosen], names, lambda logits: given_labels(logits, specs))
    return {"mails": found.mails, "flips": found.flips, "largest_logit_difference": found.largest}


def graph_logits(model: Path, ready: Prepared, answered: Sequence[Answered], rows: Mask) -> dict[str, Floats]:
    """Per head (all rows, labels) as the graph gives them for `rows`; NaN elsewhere."""
    graph, chosen = Graph(model, ready.vocabulary.padding), np.nonzero(rows)[0]
    tables = {a.question.name: np.full(a.question.answers.shape, np.nan, np.float32) for a in answered}
    for ran in graph.run([ready.tokens[row].ids for row in chosen], list(tables)):
        for table, values in zip(tables.values(), ran.outputs, strict=True):
            table[chosen[list(ran.rows)]] = values
    return tables


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
