"""Two bundles' answers to the same rows, for tests of the gate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mailweir.models.evaluation import Answer, Example
from mailweir.models.runtime import Scores, shipped_bundle
from mailweir.models.runtime.integrity import read_manifest
from mailweir.models.training.gate import Neighbours, Sitting, Verdict
from mailweir.schemas.events import ModelRef
from mailweir.schemas.manifest import BundleFile, HeadSpec, Manifest

LABELS = ("work", "finance", "spam", "other")


ACTIONS = ("send_quote", "open_ticket")


ROWS = 320


STEADY = Neighbours(64, 0, 2e-7)


Table = NDArray[np.float64]


def manifest(version: str = "new", size: int = 1000, **changes: object) -> Manifest:
    """A quantized bundle with two heads."""
    parity = {"agreement": 0.99, "macro_f1": {"fp32": 0.9, "int8": 0.899}}
    heads = {
        "category": HeadSpec(labels=LABELS, temperature=1.0, threshold=0.5),
        "next_actions": HeadSpec(kind="many", labels=ACTIONS, temperature=1.0, threshold=0.5),
    }
    made = {
        "model": ModelRef(name="email", version=version),
        "files": {"model.onnx": BundleFile(sha256="0" * 64, size=size)},
        "heads": heads,
        "metrics": {"parity": dict.fromkeys(heads, parity)},
        "quantization": "int8: fixed ranges",
        "data": {},
    }
    return read_manifest(shipped_bundle()).model_copy(update=made | changes)


def examples() -> list[Example]:
    """Rows of two languages and four kinds, the kinds as often in both."""
    found = []
    for number in range(ROWS):
        labels = {"category": LABELS[number // 2 % 4], "next_actions": ACTIONS[: number % 3]}
        language = ("en", "tr")[number % 2]
        found.append(Example(f"r{number}", language, f"author {number % 5}", "", "", "", "a b", labels, None))
    return found


def tables(wrong: float, seed: int, spoil: Callable[[Example], bool] = lambda _: False) -> tuple[Table, Table]:
    """Probabilities of both heads that are wrong, and say so, as often as that; rows to spoil have random labels."""
    rng, rows = np.random.default_rng(seed), examples()
    category, actions = np.full((ROWS, 4), wrong / 3), np.full((ROWS, 2), wrong)
    for number, row in enumerate(rows):
        right = LABELS.index(str(row.labels["category"]))
        given = int(rng.integers(4)) if spoil(row) else (right + (rng.random() < wrong) * int(rng.integers(1, 4))) % 4
        category[number, given] = 1 - wrong
        for place, label in enumerate(ACTIONS):
            said = (label in (row.labels["next_actions"] or ())) != (rng.random() < wrong)
            actions[number, place] = 1 - wrong if said else wrong
    return category, actions


def sitting(given: tuple[Table, Table], made: Manifest) -> Sitting:
    """A bundle that answered the rows like this."""
    answers = []
    for row, category, actions in zip(examples(), *given, strict=True):
        heads = {"category": category, "next_actions": actions}
        scores = Scores(heads, tokens=4, truncated=False, empty=False, tokenize_ms=0.1, model_ms=1.0)
        answers.append(Answer(row, scores, (), 0.1, 0.1, 1.2))
    return Sitting(made, {"holdout": answers}, STEADY, [1.2] * ROWS)


def champion() -> Sitting:
    """Wrong in every seventh row."""
    return sitting(tables(0.15, seed=1), manifest("old"))


def rules(verdict: Verdict) -> set[str]:
    """Which rules refuse."""
    return {check.rule for check in verdict.refusals}
