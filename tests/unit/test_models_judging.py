"""What is called a flip, and which heads a refinement is served for."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from mailweir.models.training.fidelity import given_labels
from mailweir.models.training.heads import Question
from mailweir.models.training.trm_bench import Bench
from mailweir.models.training.trm_judge import BESIDE_ALL, BESIDE_ONE, PLAIN, gate
from mailweir.models.training.trm_train import ONE
from mailweir.schemas.manifest import HeadSpec

_ROWS = 200


def test_a_label_of_many_that_crosses_its_threshold_is_a_flip() -> None:
    """Also where the likeliest label stays; a head of one flips where its likeliest changes."""
    specs = [
        HeadSpec(kind="one", labels=("a", "b"), temperature=1, threshold=0.5),
        HeadSpec(kind="many", labels=("x", "y"), temperature=1, threshold=0.5, thresholds={"y": 0.6}),
    ]
    logits = np.array([[2.0, 1.0, 3.0, 0.41], [2.0, 1.0, 3.0, 0.40], [1.0, 2.0, -1.0, 0.1]], np.float32)
    assert given_labels(logits, specs).tolist() == [
        [True, False, True, True],
        [True, False, True, False],
        [False, True, False, False],
    ]


def _answers(wrong: int) -> dict[str, Any]:
    """Answers to a question whose label is that of the row's parity, `wrong` of them turned."""
    right = np.eye(2, dtype=np.int64)[np.arange(_ROWS) % 2]
    right[:wrong] = 1 - right[:wrong]
    return {"category": right}


@pytest.mark.parametrize(
    ("seeds", "served"),
    [((10, 10, 10), ("category",)), ((10, 60, 60), ()), ((60, 10, 10), ())],
    ids=["all seeds win", "the written one was lucky", "the written one was not"],
)
def test_a_head_is_refined_where_the_written_seed_and_all_together_win(
    seeds: Sequence[int], served: tuple[str, ...]
) -> None:
    """The plain heads have 40 of 200 wrong: a single seed that did better proves nothing."""
    everybody = np.ones(_ROWS, bool)
    question = Question("category", "one", ("a", "b"), _answers(0)["category"], everybody)
    bench = cast("Bench", SimpleNamespace(lesson=SimpleNamespace(questions=[question], validating=everybody)))
    refined = [_answers(wrong) for wrong in seeds]
    systems = {PLAIN: [_answers(40)], BESIDE_ONE: refined, BESIDE_ALL: refined}
    assert gate(bench, systems) == (ONE, served)
