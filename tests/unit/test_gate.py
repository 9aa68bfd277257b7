"""The gate: what a candidate must hold, slice by slice, and how it says no."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import orjson
import pytest
from judged import LABELS, ROWS, champion, examples, manifest, rules, sitting, tables
from typer.testing import CliRunner

from mailweir.models.evaluation import Example
from mailweir.models.runtime import shipped_bundle
from mailweir.models.training.gate import Limits, Verdict, judge
from mailweir.models.training.gate.page import write_page
from mailweir.models.training.gate.rows import unseen
from mailweir.models.training.gate.run import Judged
from mailweir.schemas.errors import InputError
from mailweir.schemas.manifest import HeadSpec
from mailweir.services.cli.app import app


def test_the_same_answers_pass() -> None:
    """A candidate that answers like the champion is not worse anywhere, and every change is nought."""
    verdict = judge(sitting(tables(0.15, seed=1), manifest()), champion())
    assert verdict.passed, verdict.reasons
    assert len([check for check in verdict.checks if check.rule == "not_worse"]) > 30
    assert {check.change.value for check in verdict.checks if check.change} == {0.0}


def test_a_better_candidate_that_lost_one_slice_is_refused_and_the_slice_is_named() -> None:
    """Three times fewer errors, but random labels in Turkish finance mail: refused for that alone."""

    def turkish_finance(row: Example) -> bool:
        return row.language == "tr" and row.labels["category"] == "finance"

    verdict = judge(sitting(tables(0.05, seed=2, spoil=turkish_finance), manifest()), champion())
    (whole,) = (c for c in verdict.checks if c.rule == "not_worse" and (c.head, c.slice) == ("category", "all rows"))
    assert whole.change is not None
    assert whole.passed
    assert verdict.refusals
    slices = {check.slice for check in verdict.refusals}
    assert "language tr, category finance" in slices
    assert all("finance" in str(name) for name in slices)
    assert any("category, language tr, category finance" in reason and "floor" in reason for reason in verdict.reasons)
    assert "language en, category finance" not in slices


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_another_model_that_is_as_good_passes(seed: int) -> None:
    """As many errors in other rows: some small slice always looks worse, and that is noise."""
    verdict = judge(sitting(tables(0.15, seed=seed), manifest()), champion())
    assert verdict.passed, verdict.reasons
    assert min(check.change.value for check in verdict.checks if check.change) < -0.05


def test_a_floor_binds_where_the_champion_reaches_it() -> None:
    """Both below the floor: the comparison decides. Only the candidate below: refused."""
    weak = sitting(tables(0.55, seed=3), manifest("old"))
    assert "floor" not in rules(judge(sitting(tables(0.55, seed=3), manifest()), weak))
    assert "floor" in rules(judge(sitting(tables(0.55, seed=3), manifest()), champion()))
    worse = judge(sitting(tables(0.75, seed=4), manifest()), weak)
    assert "not_worse" in rules(worse)
    assert all((check.champion or 0) >= (check.limit or 1) for check in worse.refusals if check.rule == "floor")


def test_below_a_floor_by_chance_is_no_refusal() -> None:
    """Another model that is as good falls below a high floor in some small slice, and the reason says that this is noise."""
    verdict = judge(sitting(tables(0.15, seed=7), manifest()), champion(), Limits(slice_floor=0.8, class_floor=0.8))
    assert verdict.passed, verdict.reasons
    assert any("within noise of the floor" in check.reason for check in verdict.checks)


def test_an_uncalibrated_candidate_is_refused() -> None:
    """The same answers said with too little certainty: the calibration error is above its limit, and people get more mail."""
    category, actions = tables(0.15, seed=1)
    unsure = np.where(category > 0.5, 0.4, 0.2)
    verdict = judge(sitting((unsure, actions), manifest()), champion())
    assert rules(verdict) == {"calibration", "answered"}
    assert any("calibration error 0.4" in reason for reason in verdict.reasons)


def test_other_labels_are_not_compared() -> None:
    """A candidate that lacks a label of the champion is refused before anything is counted."""
    heads = {"category": HeadSpec(labels=(*LABELS[:3], "travel"), temperature=1.0, threshold=0.5)}
    verdict = judge(sitting(tables(0.1, seed=1), manifest(heads=heads, metrics={}, quantization="fp32")), champion())
    assert rules(verdict) == {"labels"}
    assert "category, next_actions" in verdict.reasons[0]


def test_labels_in_another_order_are_the_same_labels() -> None:
    """Columns are matched by name: a candidate whose outputs stand in another order answers alike."""
    category, actions = tables(0.15, seed=1)
    heads = manifest().heads | {"category": HeadSpec(labels=LABELS[::-1], temperature=1.0, threshold=0.5)}
    verdict = judge(sitting((category[:, ::-1], actions), manifest(heads=heads)), champion())
    assert verdict.passed, verdict.reasons


def test_fresh_feedback_is_judged_from_a_number_of_rows() -> None:
    """Few rows of feedback are told and not judged; enough of them refuse a candidate that is worse there."""
    good, bad = (sitting(tables(wrong, seed=4), manifest()).answers["holdout"] for wrong in (0.05, 0.6))
    old = champion()

    def both(rows: int) -> Verdict:
        ours = dataclasses.replace(old, answers=old.answers | {"fresh": bad[:rows]})
        return judge(
            ours, dataclasses.replace(old, answers=old.answers | {"fresh": good[:rows]}), left_out={"fresh": 3}
        )

    assert both(20).passed
    assert any("20 of fresh" in c.reason and "3 more were left out" in c.reason for c in both(20).checks)
    assert {check.rows_of for check in both(200).refusals} == {"fresh"}


def test_rows_that_a_bundle_learned_from_are_left_out() -> None:
    """By author and by id, whichever of the two bundles it was."""
    fitted = manifest(data={"fitted_on": ["author 1"]})
    chosen = manifest(data={"chosen_and_calibrated_on": ["author 2"], "fitted_rows": ["r0", "r3"]})
    left = unseen(examples(), [fitted, chosen])
    assert {row.source for row in left} == {"author 0", "author 3", "author 4"}
    assert {"r0", "r3"} & {row.id for row in left} == set()
    assert len(left) == ROWS * 3 // 5 - 2


def test_the_verdict_as_json_and_as_a_page(tmp_path: Path) -> None:
    """Both tell the refusal with its slice; the page carries its pictures."""
    ours, old = sitting(tables(0.3, seed=5), manifest("<new>")), champion()
    verdict = judge(ours, old)
    page = write_page(tmp_path / "new", Judged(verdict, ours, old), "rows.jsonl")
    told, html = orjson.loads(verdict.encode()), page.read_text("utf-8")
    assert (told["passed"], told["schema"]) == (False, 1)
    assert told["reasons"] == list(verdict.reasons)
    assert told["limits"]["head_floors"]["category"] == Limits().head_floors["category"]
    assert orjson.loads((page.parent / "verdict.json").read_bytes()) == told
    assert "email &lt;new&gt;: refused" in html
    assert verdict.refusals[0].slice in html
    assert html.count("<img ") == 4
    assert "<script" not in html


def test_the_command_judges_two_bundles(tiny: Path, tmp_path: Path) -> None:
    """The same bundle twice passes with code 0; a slower machine changes nothing, as both are asked in turn."""
    corpus = shipped_bundle().parents[1] / "corpus" / "oya.jsonl"
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(b"\n".join(corpus.read_bytes().splitlines()[:110]))
    done = CliRunner().invoke(app, ["models", "gate", str(tiny), str(tiny), str(rows), "--json"])
    told = orjson.loads(done.stdout)
    assert told["reasons"] == []
    assert (told["passed"], done.exit_code) == (True, 0)
    assert {check["rule"] for check in told["checks"]} >= {
        "not_worse",
        "neighbours",
        "parity",
        "latency",
        "size",
        "calibration",
    }


def test_the_command_tells_what_it_cannot_use(tiny: Path, tmp_path: Path) -> None:
    """A missing row file and a folder without a bundle end as set-up errors that name them."""
    done = CliRunner().invoke(app, ["models", "gate", str(tiny), str(tmp_path / "none")])
    assert done.exit_code == 2
    assert str(tmp_path / "none") in done.output
    missing = tmp_path / "rows.jsonl"
    done = CliRunner().invoke(app, ["models", "gate", str(tiny), str(tiny), str(missing)])
    assert done.exit_code == 2
    assert "rows.jsonl" in done.output


def test_a_holdout_needs_a_corpus_or_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An installation without the corpus says what to name."""
    from mailweir.models.training.gate import rows

    monkeypatch.setattr(rows, "FOLDER", tmp_path / "none")
    with pytest.raises(InputError, match="name a file of annotated rows"):
        rows.holdout([], manifest())
