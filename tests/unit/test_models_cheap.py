"""The cheap tier: terms, tables, and what stopping there costs and saves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mailweir.models.runtime.linear import QUIET, LinearTables, cheap_heads, least_sure, read_tables
from mailweir.models.text.model_input import ModelInput, compose_fields
from mailweir.models.text.terms import term_counts, term_keys, terms
from mailweir.models.training.cascade import Duel, Entities, Head, choose_threshold, cost_curve, thin_out
from mailweir.models.training.cheap import fit_tables, quantize, quiet_question, term_table
from mailweir.models.training.heads import Question
from mailweir.schemas.manifest import CheapSpec, CurvePoint, HeadSpec


def mail(subject: str = "", body: str = "", mailbox: str = "sales") -> ModelInput:
    return compose_fields(subject, "a@example.org", mailbox, body, ())


def test_terms_are_words_and_pairs_of_each_place() -> None:
    """Subject, sender and mailbox are marked apart; a pair does not reach from one into another."""
    found = [term for term, _ in terms(mail("Big sale", "big sale"))]
    assert found[:3] == ["s:big", "s:sale", "s:big sale"]
    assert {"f:example", "f:sales", "f:org >", "big", "sale", "big sale"} <= set(found)
    assert not [term for term in found if "sale example" in term]


def test_numbers_are_terms_by_their_length() -> None:
    """Long numbers are told by their number of digits, alone or in a code; a Turkish capital by its small letter."""
    found = {term: written for term, written in terms(mail(body="İade 4500771203 X99182 12")) if " " not in term}
    assert {term: found[term] for term in ("iade", "#6", "a#5", "12")} == {
        "iade": "İade", "#6": "4500771203", "a#5": "X99182", "12": "12",
    }  # fmt: skip


def test_a_mail_without_text_has_only_its_envelope() -> None:
    """No word, no crash; an input that has no places is read as one text."""
    assert all(term.startswith("f:") for term, _ in terms(mail()))
    assert [term for term, _ in terms(ModelInput("two words", cut=False, empty=False))] == ["two", "words", "two words"]
    assert term_keys(ModelInput("", cut=False, empty=True)).shape == (0,)


def _questions(rng: np.random.Generator, rows: int) -> list[Question]:
    known = np.ones(rows, bool)
    one = np.eye(3, dtype=np.int64)[rng.integers(0, 3, rows)]
    many = (rng.random((rows, 2)) > 0.5).astype(np.int64)
    return [
        Question("one", "one", ("a", "b", "c"), one, known),
        Question("many", "many", ("x", "y"), many, known),
        quiet_question(rng.random(rows) > 0.5),
    ]


def _random_mails(rng: np.random.Generator, rows: int) -> list[ModelInput]:
    words = [f"word{letter}" for letter in "abcdefghijklmnop"]
    return [mail("s", " ".join(rng.choice(words, 12))) for _ in range(rows)]


def test_serving_sees_what_training_saw() -> None:
    """Row by row, the product over training's table is what serving computes from the mail, to rounding."""
    rng = np.random.default_rng(3)
    given = _random_mails(rng, 60)
    mails = [term_counts(one) for one in given]
    tables = fit_tables(_questions(rng, 60), mails, np.arange(60) < 40, 30)
    table = term_table(tables, mails)
    expected = table @ (tables.weights * tables.scales) + tables.bias
    assert tables.weights.shape == (30, 6)
    assert table.shape == (60, 30)
    np.testing.assert_allclose(np.stack([tables.logits(one) for one in given]), expected, rtol=1e-4, atol=1e-4)


def test_no_weight_moves_by_more_than_half_a_step() -> None:
    """int8 by column: the error of a weight is bounded, and so is that of a logit, as a mail's terms have length 1."""
    rng = np.random.default_rng(4)
    weights = rng.normal(0, 3, (50, 4)).astype(np.float32)
    weights[:, 3] = 0
    empty = LinearTables(
        np.arange(50, dtype=np.uint32), np.ones(50, np.float16), np.zeros((50, 0), np.int8), np.zeros(0, np.float32), np.zeros(0, np.float32)
    )  # fmt: skip
    found = quantize(empty, weights, np.zeros(4, np.float32))
    error = np.abs(found.weights * found.scales - weights)
    assert (error <= found.scales / 2 + 1e-6).all()
    rows, values = found.values(np.arange(9, dtype=np.uint32), np.full(9, 2.0, np.float32))
    assert float((values**2).sum()) == pytest.approx(1.0)
    moved = np.abs(found.products(rows, values) - values @ weights[rows])
    assert (moved <= found.scales / 2 * np.abs(values).sum() + 1e-5).all()


def test_tables_come_back_from_their_file(tmp_path: Path) -> None:
    """Bit by bit, without pickle; written twice they are the same bytes."""
    rng = np.random.default_rng(5)
    mails = [term_counts(one) for one in _random_mails(rng, 40)]
    tables = fit_tables(_questions(rng, 40), mails, np.ones(40, bool), 20)
    for name in ("one.npz", "two.npz"):
        tables.save(tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    again = read_tables(tmp_path / "one.npz")
    for name in ("keys", "rarity", "weights", "scales", "bias"):
        np.testing.assert_array_equal(getattr(again, name), getattr(tables, name))


def test_how_sure_the_least_sure_head_is() -> None:
    """Of one: its best label. Of many: that all labels are as judged, by their thresholds. Whether the tagger is needed counts."""
    heads = {
        "category": HeadSpec(labels=("a", "b"), temperature=1, threshold=0.5),
        "next_actions": HeadSpec(kind="many", labels=("x", "y"), temperature=1, threshold=0.5, thresholds={"x": 0.3}),
    }
    specs = cheap_heads(heads, {"category": 2.0, "next_actions": 1.0, QUIET: 1.0})
    assert (specs["category"].temperature, list(specs)) == (2.0, ["category", "next_actions", QUIET])
    answers = {"category": np.array([0.9, 0.1]), "next_actions": np.array([0.1, 0.05]), QUIET: np.array([0.95])}
    assert least_sure(answers, specs) == pytest.approx(0.9 * 0.95)
    assert least_sure(answers | {"next_actions": np.array([0.4, 0.05])}, specs) == pytest.approx(0.4 * 0.95)
    assert least_sure(answers | {QUIET: np.array([0.2])}, specs) == pytest.approx(0.2)


def _spec(kind: Any = "one") -> HeadSpec:
    return HeadSpec(kind=kind, labels=("a", "b"), temperature=1, threshold=0.5)


def _duel(right: Sequence[int], model: Sequence[int], cheap: Sequence[int], sure: Sequence[float]) -> Duel:
    """One head of two labels, answers given by number."""
    eye, rows = np.eye(2), len(right)
    question = Question("category", "one", ("a", "b"), eye[list(right)].astype(np.int64), np.ones(rows, bool))
    head = Head(question, _spec(), eye[list(model)], eye[list(cheap)])
    every = np.ones(rows, bool)
    slices = {"all": every, "en": np.arange(rows) < rows // 2, "tr": np.arange(rows) >= rows // 2}
    return Duel([head], None, slices, np.array(sure), np.full(rows, 10.0), 0.5)


def test_the_curve_says_what_stopping_costs_and_saves() -> None:
    """No stop first; a point where more mails stop; milliseconds, F1 and the largest loss over slices at each."""
    right = [0, 1, 0, 1, 0, 1, 0, 1]
    curve = cost_curve(_duel(right, right, [0, 1, 0, 1, 0, 0, 0, 1], [0.99, 0.99, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4]))
    assert [point.stopped for point in curve] == [0, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1]
    assert [point.milliseconds for point in curve][:3] == [10.0, 8.0, 6.75]
    assert [point.cost for point in curve][:5] == [0] * 5
    # row 5 is the only error: in its slice of two a and two b F1 falls from 1 to the mean of 4/5 and 2/3
    assert (curve[5].cost, curve[5].at) == (pytest.approx(1 - (4 / 5 + 2 / 3) / 2, abs=1e-5), "category, tr")
    assert curve[5].mean_f1 < curve[4].mean_f1 == 1
    assert choose_threshold(curve) == curve[4].threshold == 0.7


def test_a_mail_that_the_model_gets_wrong_can_only_gain() -> None:
    """A negative cost is no cost: the cheap tier may be right where the model is not."""
    right = [0, 1, 0, 1]
    curve = cost_curve(_duel(right, [1, 1, 0, 1], right, [0.9, 0.8, 0.7, 0.6]))
    assert [point.cost for point in curve][1:] == [0, 0, 0, 0]
    assert curve[1].mean_f1 > curve[0].mean_f1
    assert choose_threshold(curve) == 0.6


def test_entities_count_as_a_head() -> None:
    """Rules alone miss what the tagger finds: stopping there costs, and the curve says where."""
    right = [0, 1, 0, 1]
    marked = [{("amount", "1")}, set(), {("amount", "3")}, {("deadline", "today")}]
    duel = replace(
        _duel(right, right, right, [0.9, 0.8, 0.7, 0.6]), entities=Entities(marked, marked, [*marked[:3], set()])
    )
    curve = cost_curve(duel)
    assert [point.cost == 0 for point in curve] == [True, True, True, True, False]
    assert curve[-1].at == "entities, tr"
    assert choose_threshold(curve) == 0.7


def _point(threshold: float, stopped: float, cost: float, milliseconds: float | None = None) -> CurvePoint:
    spent = 10 * (1 - stopped) if milliseconds is None else milliseconds
    return CurvePoint(
        threshold=threshold, stopped=stopped, milliseconds=spent, mean_f1=1, cost=cost, at="category, all"
    )


def test_the_first_cost_that_is_too_high_ends_the_choice() -> None:
    """A later point that is cheap again does not count; where the first stop costs too much, none stops."""
    start = _point(1, 0, 0)
    assert choose_threshold([start, _point(0.9, 0.1, 0.002), _point(0.8, 0.2, 0.003), _point(0.7, 0.3, 0)]) == 0.9
    assert choose_threshold([start, _point(0.9, 0.1, 0.01), _point(0.8, 0.2, 0)]) is None
    assert choose_threshold([start]) is None


def test_mail_stops_only_where_that_saves_time() -> None:
    """Every mail pays for the cheap tier: where few stop, asking it costs more than it spares."""
    start, few, more = _point(1, 0, 0, 10), _point(0.9, 0.01, 0, 10.2), _point(0.8, 0.1, 0.001, 9.3)
    assert choose_threshold([start, few]) is None
    assert choose_threshold([start, few, more]) == 0.8
    assert choose_threshold([start, few, more, _point(0.7, 0.2, 0.01, 8)]) == 0.8


def test_a_kept_curve_is_short_and_has_the_chosen_point() -> None:
    """Both ends and the threshold are among at most forty-one points."""
    curve = [_point(1 - place / 200, place / 200, 0) for place in range(150)]
    kept = thin_out(curve, curve[77].threshold)
    assert len(kept) <= 41
    assert {curve[0], curve[77], curve[-1]} <= set(kept)
    assert list(kept) == sorted(kept, key=lambda point: -point.threshold)


def test_the_curve_is_drawn() -> None:
    """A picture with a chosen threshold, and one where no mail stops."""
    pictures = pytest.importorskip("mailweir.models.evaluation.pictures", reason="the extra report is not installed")
    curve = (_point(1, 0, 0), _point(0.9, 0.1, 0.002), _point(0.8, 0.2, 0.01))
    drawn = []
    for threshold in (0.9, None):
        spec = CheapSpec(temperatures={"category": 1.0}, threshold=threshold, cost_limit=0.003, curve=curve)
        drawn.append(pictures.cascade_png(spec))
    assert all(picture.startswith(b"\x89PNG") for picture in drawn)
    assert drawn[0] != drawn[1]
