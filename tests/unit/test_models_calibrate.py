"""Thresholds where few rows, equal probabilities or no rows at all tempt to a wrong one; how sure the tagger is."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np

from mailweir.models.text.model_input import compose_fields
from mailweir.models.text.spans import tag_names
from mailweir.models.text.zone import split_zones
from mailweir.models.training.calibrate import best_f1_threshold, threshold_for
from mailweir.models.training.corpus import EntityMark, MailRow, load_mails
from mailweir.models.training.entity_fit import fit_tags, tagged_rows

NAMES = tag_names(("po_number",))
CODES = ("4500123456", "4500999999")


def test_answers_of_one_probability_are_accepted_together() -> None:
    """Forty right at .9, then twenty right and twenty wrong at .8: a part of the .8 would still keep the promise, all do not."""
    top = np.repeat([0.9, 0.8], 40)
    right = np.concatenate([np.zeros(60, np.int64), np.ones(20, np.int64)])
    assert threshold_for(np.stack([top, 1 - top], axis=1), right, 0.95) == 0.9


def test_a_few_lucky_answers_make_no_threshold() -> None:
    """Ten right answers at .99 above fifty wrong ones promise nothing: the head abstains; thirty of them do."""
    for lucky, threshold in ((10, 1.0), (30, 0.99)):
        top = np.concatenate([np.full(lucky, 0.99), np.full(50, 0.7)])
        right = np.concatenate([np.zeros(lucky, np.int64), np.ones(50, np.int64)])
        assert threshold_for(np.stack([top, 1 - top], axis=1), right, 0.9) == threshold


def test_a_label_that_never_occurs_is_never_given() -> None:
    """Without a row that has it, no probability short of certainty is enough."""
    assert best_f1_threshold(np.array([0.2, 0.9]), np.zeros(2, bool)) == 1.0


def test_a_tagger_that_is_too_modest_is_believed_more() -> None:
    """All finds are right at a probability of .67: a lower temperature raises them."""
    spec = fit_tags(*mails(sure=(0.7, 0.7)), NAMES)
    assert spec.temperature == 0.5


def test_the_limit_of_a_type_leaves_out_the_doubtful_and_wrong() -> None:
    """One code is annotated and found for sure, the other neither: what stays at the fitted limit is the first."""
    given = mails(sure=(4.0, 0.25), marked=1)
    spec = fit_tags(*given, NAMES)
    found = [[span.type for _, span in row] for row in tagged_rows(*given[1:], spec)]
    assert found == [["po_number"], []]
    assert spec.thresholds["po_number"] == 0.8  # of limits that are as good, the highest


def mails(sure: tuple[float, float], marked: int = 2) -> tuple[list[MailRow], list[Any], list[Any], list[Any]]:
    """Two mails with a code each, which the tagger marks with such logits; the first `marked` of them are annotated."""
    plain = next(row for row in load_mails() if row.author == "ada")
    rows, inputs, tokens, tables = [], [], [], []
    for place, (code, height) in enumerate(zip(CODES, sure, strict=True)):
        body = f"please book {code} today"
        marks = (EntityMark(type="po_number", text=code),) if place < marked else ()
        rows.append(plain.model_copy(update={"subject": "", "body": body, "marks": marks}))
        inputs.append(compose_fields("", "", "", body, split_zones(body)))
        words = list(re.finditer(r"\S+", inputs[-1].text))
        tokens.append(SimpleNamespace(encoding=SimpleNamespace(offsets=[word.span() for word in words])))
        table = np.full((len(words), len(NAMES)), -9.0, np.float32)
        for at, word in enumerate(words):
            table[at, NAMES.index("O")] = 9.0
            if word.group() == code:
                table[at] = [height if name == "B-po_number" else -height for name in NAMES]
        tables.append(table)
    return rows, inputs, tokens, tables
