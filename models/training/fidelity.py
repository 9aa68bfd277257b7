"""Does a bundle answer like the network that was trained, head by head and slice by slice: torch, fp32 graph, int8 graph.

Measured where the bundle is made: what is served holds the int8 graph alone.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from mailweir.models.export.parity import agreement, cell_agreement
from mailweir.models.export.weights import Floats
from mailweir.models.runtime.bundle import calibrate
from mailweir.models.training.answer import Answered
from mailweir.models.training.heads import Mask, Question
from mailweir.models.training.measure import macro_f1, micro_f1
from mailweir.models.training.split import Run
from mailweir.schemas.manifest import HeadSpec

SAME, CHANGE = 0.995, 0.004
"""What is wanted of each head and slice: share of answers that stay the same, and largest change of F1."""


def slice_parity(
    run: Run, answered: Sequence[Answered], forms: Mapping[str, Mapping[str, Floats]], rows: Mask
) -> dict[str, Any]:
    """Per head, slice and step from one of ``forms`` to the next: the share of same answers, and the change of F1.

    ``forms`` hold (all rows, labels) logits per head, in the order in which one is made of another; only ``rows`` are read.
    Slices are the languages and bands of length of ``rows``.
    """
    chosen = np.flatnonzero(rows)
    slices = run.slices(chosen)
    found: dict[str, Any] = {}
    for one in answered:
        tables = {form: logits[one.question.name] for form, logits in forms.items()}
        found[one.question.name] = {
            name: {"rows": int(mask.sum())} | _steps(one, tables, chosen[mask]) for name, mask in slices.items()
        }
    return found


def same_answers(spec: HeadSpec, before: Floats, after: Floats) -> float:
    """Share of rows with the same label; of a head of many, share of labels on the same side of their threshold."""
    if spec.kind == "one":
        return agreement(before, after)
    return cell_agreement(calibrate(before, spec), calibrate(after, spec), np.array(spec.limits))


def given_labels(logits: Floats, specs: Sequence[HeadSpec]) -> np.ndarray[Any, Any]:
    """(mails, labels of all heads side by side): the likeliest of a head of one, those above their threshold of a head of many."""
    ends = np.cumsum([len(spec.labels) for spec in specs])[:-1]
    return np.concatenate([_given(part, spec) for part, spec in zip(np.split(logits, ends, 1), specs, strict=True)], 1)


def _given(logits: Floats, spec: HeadSpec) -> np.ndarray[Any, Any]:
    if spec.kind == "one":
        return np.asarray(np.eye(len(spec.labels), dtype=bool)[logits.argmax(axis=1)])
    return np.asarray(calibrate(logits, spec) >= np.array(spec.limits))


def _steps(one: Answered, tables: Mapping[str, Floats], rows: np.ndarray[Any, Any]) -> dict[str, Any]:
    scores = {form: _f1(one.question, one.spec, logits, rows) for form, logits in tables.items()}
    return {
        f"{before} to {after}": {
            "agreement": round(same_answers(one.spec, tables[before][rows], tables[after][rows]), 4),
            "f1_change": round(scores[after] - scores[before], 4),
        }
        for before, after in pairwise(tables)
    }


def _f1(question: Question, spec: HeadSpec, logits: Floats, rows: np.ndarray[Any, Any]) -> float:
    """Macro-F1 of a head of one, micro-F1 of a head of many, of the rows whose answer is known; 0 where none is."""
    used = rows[question.known[rows]]
    if not len(used):
        return 0.0
    if spec.kind == "many":
        return micro_f1(question.answers[used] == 1, calibrate(logits[used], spec) >= np.array(spec.limits))
    given = np.asarray(logits[used].argmax(axis=1), np.int64)
    return macro_f1(question.best[used], given, len(spec.labels))
