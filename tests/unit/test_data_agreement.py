"""Agreement of two annotators: kappa and marks against values by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from annotated import LABELS, written

from mailweir.models.training.data import compare, read_annotations
from mailweir.models.training.data.agreement import kappa
from mailweir.schemas.errors import InputError


def test_kappa_by_hand() -> None:
    """50 rows, 20 times yes and 15 times no by both, 5 and 10 times apart: (0.7 - 0.5) / (1 - 0.5)."""
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert kappa(first, second) == pytest.approx(0.4)
    assert kappa(first, first) == 1
    assert kappa(["a", "b"], ["b", "a"]) == pytest.approx(-1)
    assert kappa(["a", "a"], ["a", "a"]) is None
    assert kappa([], []) is None


def annotated(row_id: str, entities: Sequence[tuple[str, str]] = (), **changes: Any) -> dict[str, Any]:
    return {"id": row_id, "labels": LABELS | changes, "entities": [{"type": k, "text": t} for k, t in entities]}


def test_agreement_by_hand(tmp_path: Path) -> None:
    """Four mails that both annotated: kappa per head, its mean over the labels of next_actions, F1 of the entities.

    category: 3 of 4 the same, by chance (3 · 2 + 1 · 2) / 16 = 0.5, so (0.75 - 0.5) / 0.5 = 0.5.
    next_actions: validate_po differs once in four, with (4 · 3 + 0 · 1) / 16 = 0.75 by chance: 0; escalate is in one of four
    by both: 1; their mean is 0.5. Entities: two shared of three and three marks: 2 · 2 / 6.
    """
    both = ["validate_po", "escalate"]
    first = [
        annotated("a", [("quantity", "5"), ("amount", "5 €")], next_actions=both),
        annotated("b", [("quantity", "7")]),
        annotated("c", priority=None),
        annotated("d", category="other"),
        annotated("only-here"),
    ]
    second = [
        annotated("d", category="other"),
        annotated("c", category="other"),
        annotated("b", [("quantity", "7"), ("quantity", "8")], next_actions=[]),
        annotated("a", [("quantity", "5")], next_actions=both[::-1]),
    ]
    found = compare(
        read_annotations(written(tmp_path, first, "1.jsonl")), read_annotations(written(tmp_path, second, "2.jsonl"))
    )
    heads = {head.head: head for head in found.heads}
    assert (found.rows, found.only_first, found.only_second) == (4, 1, 0)
    assert (heads["category"].kappa, heads["category"].same) == (pytest.approx(0.5), 0.75)
    assert (heads["priority"].rows, heads["priority"].kappa) == (3, None)
    assert (heads["next_actions"].kappa, heads["next_actions"].same) == (pytest.approx(0.5), 0.75)
    assert found.entities == pytest.approx(4 / 6)
    assert [(d.id, d.head, d.first, d.second) for d in found.disagreements] == [
        ("a", "entities", "amount 5 €", ""),
        ("b", "next_actions", "validate_po", "(nothing)"),
        ("b", "entities", "", "quantity 8"),
        ("c", "category", "work", "other"),
    ]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([{"id": "a"}], "1.jsonl:1: not an annotation"),
        ([annotated("a", category="misc")], "misc"),
        ([annotated("a"), annotated("a")], "1.jsonl:2: id a occurs twice"),
        ([annotated("b")], "no id in common"),
    ],
)
def test_annotations_that_cannot_be_compared_are_refused(
    tmp_path: Path, rows: list[dict[str, Any]], problem: str
) -> None:
    """The message names the row."""
    with pytest.raises(InputError) as caught:
        compare(read_annotations(written(tmp_path, rows, "1.jsonl")), {})
    assert problem in caught.value.message
