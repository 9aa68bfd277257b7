"""Figures of fitted heads on rows that nothing was fitted on, per head and language."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mailweir.models.export.weights import Floats
from mailweir.models.runtime.bundle import calibrate
from mailweir.models.training.heads import Mask, Question
from mailweir.models.training.measure import (
    ALL,
    calibration_error,
    coverage_at,
    f1_per_label,
    macro_f1,
    micro_f1,
)
from mailweir.schemas.manifest import HeadSpec


def figures(question: Question, logits: Floats, spec: HeadSpec, rows: Mask, languages: Sequence[str]) -> dict[str, Any]:
    """Figures over `rows`, then per language; `logits` is (all rows, labels)."""
    spoken = np.array(languages)
    slices = {ALL: rows} | {language: rows & (spoken == language) for language in sorted(set(spoken[rows]))}
    measure = one_figures if spec.kind == "one" else many_figures
    return {name: measure(question, logits, spec, mask & question.known) for name, mask in slices.items()}


def one_figures(question: Question, logits: Floats, spec: HeadSpec, rows: Mask) -> dict[str, Any]:
    """F1, accuracy, calibration and what the threshold does, of a head of one."""
    right, table = question.best[rows], calibrate(logits[rows], spec)
    given = table.argmax(axis=1)
    accepted = coverage_at(table, right, spec.threshold)
    per_label = f1_per_label(right, given, len(spec.labels))
    return {
        "rows": int(rows.sum()),
        "macro_f1": _short(macro_f1(right, given, len(spec.labels))),
        "accuracy": _short(float((right == given).mean())),
        "calibration_error": _short(calibration_error(table, right)),
        "accepted": _short(accepted.share),
        "accuracy_accepted": _short(accepted.accuracy),
        "f1": {n: _short(float(f)) for n, f in zip(spec.labels, per_label, strict=True) if not np.isnan(f)},
    }


def many_figures(question: Question, logits: Floats, spec: HeadSpec, rows: Mask) -> dict[str, Any]:
    """Micro-F1 and F1 per label of a head of many, at its thresholds."""
    right = question.answers[rows] == 1
    given = calibrate(logits[rows], spec) >= np.array(spec.limits)
    each = {n: _short(micro_f1(right[:, i], given[:, i])) for i, n in enumerate(spec.labels) if right[:, i].any()}
    return {"rows": int(rows.sum()), "micro_f1": _short(micro_f1(right, given)), "f1": each}


def _short(value: float) -> float:
    return round(value, 4)
