"""Corpus checks, splits, heads, calibration, and the training command on a small part of the corpus."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from mailweir.models.runtime import Bundle
from mailweir.models.runtime.integrity import read_manifest
from mailweir.models.training.calibrate import best_f1_threshold, fit_spec, threshold_for
from mailweir.models.training.corpus import FOLDER, TEST_AUTHORS, load_mails, load_tasks
from mailweir.models.training.heads import (
    Features,
    Question,
    Strength,
    add,
    ask,
    author_folds,
    fit_dense,
    fit_head,
    fit_lexicon,
    held_out_logits,
    logits,
    word_features,
)
from mailweir.models.training.measure import calibration_error, coverage_at, f1_per_label, macro_f1, micro_f1
from mailweir.models.training.rules import rule_figures, rule_precision
from mailweir.models.training.split import Split
from mailweir.models.training.tiny import TINY, build_tiny_bundle, tiny_base
from mailweir.models.training.train import Given, train_bundle
from mailweir.schemas.errors import InputError
from mailweir.schemas.taxonomy import installed_taxonomy

ROW: dict[str, Any] = {
    "id": "a-1",
    "author": "a",
    "language": "en",
    "subject": "PO 12345678",
    "from": "Ann <ann@example.org>",
    "to": ["sales@example.com"],
    "date": "2026-03-02T09:14:00+00:00",
    "body": "please book 12 pcs",
    "mailbox": "sales",
    "labels": {
        "category": "work",
        "intent": "purchase_order",
        "action": "reply_later",
        "priority": "normal",
        "workflow_state": "start",
        "next_actions": ["validate_po"],
    },
    "entities": [{"type": "po_number", "text": "12345678"}],
}


def corpus(folder: Path, *rows: dict[str, Any]) -> Path:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def changed(**fields: Any) -> dict[str, Any]:
    return ROW | {"id": "a-2"} | fields


def question(answers: list[int], labels: int = 2) -> Question:
    table = np.eye(labels, dtype=np.int64)[answers]
    return Question("category", "one", tuple("abcdef"[:labels]), table, np.ones(len(answers), bool))


def two_blobs(rows: int = 60) -> tuple[Question, Features]:
    draw = np.random.default_rng(1)
    answers = [row % 2 for row in range(rows)]
    dense = draw.normal(size=(rows, 4)).astype(np.float32) + np.array(answers)[:, None] * 4
    words = csr_matrix(np.stack([[1.0, 0.0, 1.0] if a else [0.0, 1.0, 1.0] for a in answers]).astype(np.float32))
    return question(answers), Features(dense.astype(np.float32), words)


def test_the_corpus_follows_the_guide() -> None:
    """No row of the corpus breaks a rule that a machine can check, and both halves are of the size that the card says."""
    counted = re.search(r"([\d,]+) mails and (\d+) tasks", (FOLDER / "README.md").read_text())
    assert counted
    assert f"{len(load_mails()):,}" == counted[1]
    assert f"{len(load_tasks())}" == counted[2]


def test_spam_has_the_labels_that_follow_from_it() -> None:
    """The guide's fixed consequences hold in every row: spam is low, deleted, without intent and state."""
    for row in load_mails():
        if row.label("category") == "spam":
            wanted = {"priority": "low", "action": "delete", "intent": "none", "workflow_state": "none"}
            assert all(row.label(head) in (label, None) for head, label in wanted.items()), row.id


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"labels": ROW["labels"] | {"category": "misc"}}, "misc"),
        ({"labels": ROW["labels"] | {"mood": "good"}}, "mood"),
        ({"labels": ROW["labels"] | {"category": ["work"]}}, "category"),
        ({"labels": {k: v for k, v in ROW["labels"].items() if k != "priority"}}, "priority"),
        ({"entities": [{"type": "po_number", "text": "999"}]}, "neither in the subject nor in the body"),
        ({"entities": [{"type": "colour", "text": "book"}]}, "colour"),
        ({"entities": ROW["entities"] * 2}, "twice"),
        ({"subject": None}, "subject"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, fields: dict[str, Any], problem: str) -> None:
    """Unknown label, missing head, entity that is not in the mail: the error names file, line and what is wrong."""
    folder = corpus(tmp_path, ROW, changed(**fields))
    with pytest.raises(InputError, match=r"rows\.jsonl:2: .*") as caught:
        load_mails(folder)
    assert problem in caught.value.message


def test_null_means_cannot_be_said(tmp_path: Path) -> None:
    """A null label is allowed and masked."""
    rows = load_mails(corpus(tmp_path, changed(labels=ROW["labels"] | {"category": None, "next_actions": None})))
    assert rows[0].label("category") is None
    assert rows[0].chosen("next_actions") is None


def test_repeated_ids_are_refused(tmp_path: Path) -> None:
    """Two rows under one id are an error."""
    with pytest.raises(InputError, match="a-1"):
        load_mails(corpus(tmp_path, ROW, ROW))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """A folder without rows is named."""
    with pytest.raises(InputError, match="no \\*\\.jsonl"):
        load_mails(tmp_path)


def test_folds_are_whole_authors() -> None:
    """No author is in two folds, every author is in one, and there are no more folds than authors."""
    authors = ["a"] * 5 + ["b"] * 3 + ["c"] * 4 + ["d"]
    folds = author_folds(authors, 2)
    assert np.array_equal(sum(fold.astype(int) for fold in folds), np.ones(len(authors), int))
    for name in set(authors):
        assert sum(bool(fold[authors.index(name)]) for fold in folds) == 1
    assert len(author_folds(["a", "b"], 6)) == 2


def test_test_authors_are_in_no_fold() -> None:
    """Nothing that is fitted, chosen or calibrated sees the test authors, not even where one is named to validate as well."""
    split = Split.by_author(rows := load_mails(), 6, TEST_AUTHORS, ("jonas", "iris"))
    for mask in (split.fitting, *split.folds, *split.authors):
        assert not {row.author for row, used in zip(rows, mask, strict=True) if used} & {*TEST_AUTHORS, "jonas"}
    assert {row.author for row, used in zip(rows, split.validating, strict=True) if used} == {"jonas"}


def test_one_author_is_too_few(tmp_path: Path) -> None:
    """Calibration needs somebody to hold out."""
    with pytest.raises(InputError, match="two or more"):
        Split.by_author(load_mails(corpus(tmp_path, ROW)), 3, TEST_AUTHORS)


def test_masked_rows_are_not_learned_from() -> None:
    """A row whose label is null has no influence on the head."""
    asked, features = two_blobs()
    known = asked.known.copy()
    known[::7] = False
    masked = Question(asked.name, asked.kind, asked.labels, asked.answers, known)
    lied = Question(
        asked.name, asked.kind, asked.labels, np.where(known[:, None], asked.answers, 1 - asked.answers), known
    )
    every, strength = np.ones(len(known), bool), Strength(1.0, balanced=True, words=0.5)
    one, other = fit_head(masked, features, every, strength), fit_head(lied, features, every, strength)
    np.testing.assert_array_equal(one.kernel, other.kernel)
    np.testing.assert_array_equal(one.lexicon, other.lexicon)


def test_a_head_adds_what_its_parts_say() -> None:
    """The logits of the whole are the dense part's plus the weighted words'."""
    asked, features = two_blobs()
    every, strength = np.ones(60, bool), Strength(0.1, balanced=False)
    dense, lexical = (fit(asked, features, every, strength) for fit in (fit_dense, fit_lexicon))
    both = logits(add(dense, lexical, 0.5), features)
    np.testing.assert_allclose(both, logits(dense, features) + 0.5 * logits(lexical, features), atol=1e-5)
    assert (both.argmax(1) == asked.best).mean() > 0.95


def test_held_out_rows_are_scored_by_others() -> None:
    """A fold's logits come from a head that was fitted without it; rows in no fold stay unknown."""
    asked, features = two_blobs()
    folds = [np.arange(60) < 20, (np.arange(60) >= 20) & (np.arange(60) < 40)]
    seen: list[np.ndarray[Any, Any]] = []

    def fit(rows: Any) -> Any:
        seen.append(rows)
        return fit_dense(asked, features, rows, Strength(1.0, balanced=False))

    scored = held_out_logits(fit, features, folds)
    assert all(not (used & fold).any() for used, fold in zip(seen, folds, strict=True))
    assert np.isnan(scored[40:]).all()
    assert not np.isnan(scored[:40]).any()


def test_word_features_count_known_pieces() -> None:
    """Counts are divided by the root of the length; pieces beyond the vocabulary's seen part do not count."""
    table = word_features([np.array([0, 2, 2, 9])], 3).toarray()
    np.testing.assert_allclose(table, [[0.5, 0.0, 1.0]])


def test_a_label_without_rows_is_refused(tmp_path: Path) -> None:
    """Nothing is learned about a label that never occurs: the error names it."""
    head = installed_taxonomy("email", 1).heads["category"]
    with pytest.raises(InputError, match="newsletter"):
        ask("category", head, load_mails(corpus(tmp_path, ROW)))


def test_temperature_repairs_overconfidence() -> None:
    """Logits that are three times too large get a temperature near three, and the calibration error falls."""
    draw = np.random.default_rng(2)
    truth = draw.normal(size=(4000, 3)) * 1.5
    odds = np.exp(truth) / np.exp(truth).sum(1, keepdims=True)
    answers = [int(draw.choice(3, p=p)) for p in odds]
    fitted = fit_spec(question(answers, 3), (truth * 3).astype(np.float32), target=0.8)
    assert 2.6 < fitted.temperature < 3.4
    assert calibration_error(odds, np.array(answers)) < 0.03


def test_the_threshold_keeps_its_promise() -> None:
    """Above the threshold the share of right answers is at least the target, and any lower threshold would break it."""
    draw = np.random.default_rng(4)
    top = draw.uniform(0.5, 1.0, 2000)
    right = (draw.uniform(size=2000) > top).astype(np.int64)  # label 0 is right with its own probability
    table = np.stack([top, 1 - top], axis=1)
    threshold = threshold_for(table, right, 0.9)
    assert coverage_at(table, right, threshold).accuracy >= 0.9
    lower = [t for t in np.unique(top) if t < threshold]
    assert all(coverage_at(table, right, t).accuracy < 0.9 for t in lower)


def test_a_target_out_of_reach_abstains_always() -> None:
    """Where no threshold reaches the target, the head abstains on everything short of certainty."""
    table = np.tile([[0.6, 0.4]], (100, 1))
    assert threshold_for(table, np.ones(100, np.int64), 0.9) == 1.0


def test_the_best_f1_threshold_is_the_best() -> None:
    """No other threshold gives the label a higher F1."""
    draw = np.random.default_rng(6)
    right = draw.uniform(size=300) < 0.2
    probabilities = np.clip(right * 0.3 + draw.uniform(size=300) * 0.6, 0, 1)
    best = best_f1_threshold(probabilities, right)
    reached = micro_f1(right[:, None], (probabilities >= best)[:, None])
    assert all(micro_f1(right[:, None], (probabilities >= t)[:, None]) <= reached + 1e-9 for t in probabilities)


def test_macro_f1_counts_labels_that_occur() -> None:
    """A label that is in neither is not averaged in; one that was missed counts as zero."""
    right, given = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])
    assert f1_per_label(right, given, 3)[:2].tolist() == pytest.approx([0.8, 2 / 3])
    assert macro_f1(right, given, 3) == pytest.approx((0.8 + 2 / 3) / 2)
    assert macro_f1(np.array([0, 1]), np.array([0, 0]), 2) == pytest.approx((2 / 3) / 2)


def test_rules_are_measured_on_unread_authors() -> None:
    """Every shipped rule is right more often than not, and the figures of the test authors are not part of its precision."""
    rows = load_mails()
    precision, figures = rule_figures(rows, TEST_AUTHORS)
    assert precision == rule_figures([r for r in rows if r.author not in TEST_AUTHORS], TEST_AUTHORS)[0]
    assert all(0.6 <= share < 1 for share in precision.values())
    assert figures["test"]["spa_code"] == {"precision": 1.0, "recall": 1.0, "found": 9, "marked": 9}


def test_a_wrong_rule_is_switched_off() -> None:
    """A rule whose finds are not annotated gets no precision."""
    rows = [row.model_copy(update={"marks": ()}) for row in load_mails()[:200]]
    assert rule_precision(rows) == {}


def test_training_makes_a_bundle_that_loads_and_repeats(tmp_path: Path, tiny: Path) -> None:
    """The whole training on a small part of the corpus: a loadable bundle below 1 MB, the same model when made again."""
    first, second = read_manifest(tiny), build_tiny_bundle(tmp_path / "two")
    assert first.model == second.model
    assert {name: file.sha256 for name, file in first.files.items() if name != "MODEL_CARD.md"} == {
        name: file.sha256 for name, file in second.files.items() if name != "MODEL_CARD.md"
    }
    assert sum(file.size for file in first.files.values()) < 1_000_000
    assert first.metrics["invariance"]["flips"] == 0
    assert Bundle.load(tmp_path / "two").manifest.model_dump_json() == second.model_dump_json()


def test_training_replaces_a_bundle_and_nothing_else(tmp_path: Path) -> None:
    """A folder that holds anything but a bundle is left alone, and no half-written folder stays behind."""
    (tmp_path / "notes.txt").write_text("mine")
    rows = [row for row in load_mails(FOLDER) if row.author in {"ada", "cleo", "dov"}][::3]
    with pytest.raises(InputError, match="no bundle"):
        train_bundle(tmp_path, rows, TINY, Given(base=tiny_base(rows), quiet=True))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
