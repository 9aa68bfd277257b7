"""The gate's checks of the bundle itself: neighbours, quantization, latency, size."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from judged import ROWS, champion, manifest, rules, sitting, tables

from mailweir.models.runtime import Scores
from mailweir.models.text.model_input import ModelInput
from mailweir.models.training.gate import Limits, Neighbours, Sitting, judge
from mailweir.models.training.gate.neighbours import neighbours

LOSSY = {"agreement": 0.9, "macro_f1": {"fp32": 0.9, "int8": 0.87}}


FLIPPED = {"agreement": 0.9, "macro_f1": {"fp32": 0.9, "int8": 0.9}}


WORSE = {"agreement": 0.99, "macro_f1": {"fp32": 0.9, "int8": 0.87}}


@pytest.mark.parametrize(
    ("changes", "rule", "said"),
    [
        ({"neighbours": Neighbours(64, 1, 2e-7)}, "neighbours", "1 labels change"),
        ({"neighbours": Neighbours(64, 0, 3e-3, "category, row 7")}, "neighbours", "category, row 7"),
        ({"milliseconds": [2.4] * ROWS}, "latency", "2.00 times as long"),
        ({"manifest": manifest(size=1600)}, "size", "1.60 times the champion's"),
        ({"manifest": manifest(metrics={})}, "parity", "no parity of category"),
        ({"manifest": manifest(metrics={"parity": dict.fromkeys(("category", "next_actions"), LOSSY)})}, "parity", "stays"),
        ({"answers": {}}, "rows", "the holdout has 0"),
    ],
    ids=["flips", "moves", "slow", "large", "no parity", "lossy", "no rows"],
)  # fmt: skip
def test_what_cannot_be_served_is_refused(changes: dict[str, object], rule: str, said: str) -> None:
    """Each fault alone refuses by its own rule, and the reason says what was found."""
    old = champion()
    if "answers" in changes:
        old = dataclasses.replace(old, answers={})
    verdict = judge(dataclasses.replace(sitting(tables(0.15, seed=1), manifest()), **changes), old)  # type: ignore[arg-type]
    assert rules(verdict) == {rule}
    assert any(said in reason for reason in verdict.reasons)


def quantized(version: str, found: dict[str, object]) -> Sitting:
    """The champion's answers from a bundle of that parity."""
    parity = {"parity": dict.fromkeys(("category", "next_actions"), found)}
    return sitting(tables(0.15, seed=1), manifest(version, metrics=parity))


@pytest.mark.parametrize("found", [FLIPPED, WORSE], ids=["labels", "F1"])
def test_quantization_may_cost_neither_labels_nor_f1(found: dict[str, object]) -> None:
    """Either alone refuses; not where the champion lost as much."""
    assert rules(judge(quantized("new", found), champion())) == {"parity"}
    assert judge(quantized("new", found), quantized("old", found)).passed


def test_a_bundle_that_is_too_large_is_refused_though_the_champion_is_too() -> None:
    """It would not fit where workers run, whatever is there now."""
    size = Limits().size_bytes + 1
    verdict = judge(*(sitting(tables(0.15, seed=1), manifest(version, size=size)) for version in ("new", "old")))
    assert rules(verdict) == {"size"}
    assert f"at most {size - 1:,} bytes" in verdict.reasons[0]


class Leaky:
    """Answers that move with the number of mails in the batch."""

    def __init__(self, by: float) -> None:
        self.manifest, self._by = manifest(), by

    def classify(self, inputs: Sequence[ModelInput], *, token_budget: int = 1) -> list[Scores]:
        moved = 0.0 if token_budget == 1 else self._by * len(inputs)
        heads = {"category": np.array([0.51 - moved, 0.49 + moved, 0.0, 0.0]), "next_actions": np.array([0.1, 0.2])}
        return [Scores(heads, tokens=1, truncated=False, empty=False, tokenize_ms=0, model_ms=0) for _ in inputs]


@pytest.mark.parametrize(("by", "flips"), [(0.0, 0), (0.001, 0), (0.006, 9)])
def test_neighbours_are_measured_on_answers(by: float, flips: int) -> None:
    """Every mail alone, among the others in both orders, and beside the longest one."""
    found = neighbours(Leaky(by), [ModelInput("a" * size, cut=False, empty=False) for size in (3, 9, 5)])
    assert (found.mails, found.flips) == (3, flips)
    assert found.largest == pytest.approx(3 * by)
