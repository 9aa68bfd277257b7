"""A bundle that a tiny recursive model refines: how it was judged, what it adds, what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mailweir.models.export.encoder import write_classifier
from mailweir.models.export.step import expose_states
from mailweir.models.runtime import Bundle
from mailweir.models.runtime.integrity import describe_file
from mailweir.models.training.corpus import MailRow, load_mails
from mailweir.models.training.prepare import row_input
from mailweir.models.training.tiny import TINY, random_encoder, tiny_base
from mailweir.models.training.train import Given, train_bundle
from mailweir.models.training.trm import TrmShape
from mailweir.models.training.trm_bundle import refine_bundle
from mailweir.models.training.trm_fit import TrmTuning
from mailweir.models.training.trm_judge import BESIDE_ALL, BESIDE_ONE, PLAIN, WORDS
from mailweir.models.training.trm_train import HEADS as FITTED
from mailweir.models.training.trm_train import ONE, TRM
from mailweir.models.training.tuning import Adapters, Tuning
from mailweir.schemas.errors import BundleError, InputError

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def rows() -> list[MailRow]:
    return [row for row in load_mails() if row.author in {"ada", "cleo", "dov", "ebru", "iris", "sam", "jonas"}][::4]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, rows: list[MailRow]) -> Path:
    """A tiny fine-tuned bundle."""
    folder = tmp_path_factory.mktemp("trm") / "tuned"
    tuning = Tuning(Adapters(rank=2, alpha=4, frozen=0), heads_epochs=1, epochs=1, batch=16, decay=0.5)
    recipe = replace(TINY, tuning=tuning, validation=("sam", "jonas"))
    train_bundle(folder, rows, recipe, Given(base=tiny_base(rows), quiet=True))
    return folder


@pytest.fixture(scope="module")
def refined(tuned: Path, rows: list[MailRow]) -> Path:
    """The same bundle with a refinement."""
    folder = tuned.with_name("refined")
    shape = TrmShape(width=16, attention_heads=2, latent=1, steps=2)
    refine_bundle(tuned, folder, rows, TrmTuning(shape, epochs=2, decay=0.8, seeds=(1, 2)), quiet=True)
    return folder


@pytest.fixture
def served(refined: Path, tmp_path: Path) -> Path:
    """The refined bundle, switched on for two heads whatever its gate said."""
    folder = Path(shutil.copytree(refined, tmp_path / "served"))
    rewrite(folder, lambda refine: refine.update(heads=["category", "action"]))
    return folder


def rewrite(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest["refine"])
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_refined_bundle_says_how_it_was_judged(refined: Path, tuned: Path, rows: list[MailRow]) -> None:
    """Every system on both splits with intervals, rules, histogram and milliseconds, in manifest and card; off unless it wins."""
    manifest = Bundle.load(refined).manifest
    assert manifest.refine is not None
    told = manifest.metrics["refine"]
    assert manifest.tier == ("trm" if manifest.refine.heads else "encoder")
    assert manifest.refine.steps == {ONE: 1, TRM: 2}[told["chosen"]]
    for split in ("validation", "test"):
        assert set(told[split]["f1"]) == {WORDS, PLAIN, FITTED, ONE, TRM, BESIDE_ONE, BESIDE_ALL}
        gains = told[split]["less"][f"{BESIDE_ONE} less {PLAIN}"]["mean"]
        assert gains["low"] <= gains["value"] <= gains["high"]
    assert sum(told["histogram"].values()) == sum(row.author in {"sam", "jonas", "iris"} for row in rows)
    assert told["parity"] < 0.05
    assert {"encoder", ONE, TRM} == set(told["milliseconds"])
    card = (refined / "MODEL_CARD.md").read_text()
    assert "## Refinement" in card
    assert f"| {BESIDE_ALL} less {BESIDE_ONE} |" in card
    assert "`, then `mailweir train --trm BUNDLE`" in card
    assert "## Refinement" not in (tuned / "MODEL_CARD.md").read_text()


def test_a_served_refinement_adds_to_its_heads_alone(refined: Path, served: Path, rows: list[MailRow]) -> None:
    """The two heads answer otherwise, the others to the last bit as before; every mail says how many steps it took."""
    given = [row_input(row) for row in rows[:12]]
    plain, better = (Bundle.load(folder).classify(given) for folder in (refined, served))
    for before, after in zip(plain, better, strict=True):
        assert 1 <= after.steps <= 2
        for name in before.heads:
            same = np.array_equal(before.heads[name], after.heads[name])
            assert same == (name not in {"category", "action"})
        assert [tag for tag, _ in before.tagged] == [tag for tag, _ in after.tagged]


def test_a_served_refinement_is_batch_invariant(served: Path, rows: list[MailRow]) -> None:
    """Padded groups, reversed, with reasons asked for: no probability moves by more than 1e-4."""
    bundle, given = Bundle.load(served), [row_input(row) for row in rows[:24]]
    alone = bundle.classify(given)
    mixed = bundle.classify(given, token_budget=4096)
    turned = bundle.classify(given[::-1], token_budget=4096, reasons=True)[::-1]
    for one, *others in zip(alone, mixed, turned, strict=True):
        for other in others:
            assert other.steps == one.steps
            for name in one.heads:
                np.testing.assert_allclose(other.heads[name], one.heads[name], atol=1e-4)
    assert all(one.reasons for one in turned)


def test_a_missing_step_is_named(served: Path) -> None:
    """A step graph that the manifest names and the folder lacks, that is not among its files, or that is no step."""
    step = served / "step.onnx"
    kept = step.read_bytes()
    step.unlink()
    with pytest.raises(BundleError, match=r"step\.onnx is missing; restore the folder"):
        Bundle.load(served)
    step.write_bytes(kept)
    rewrite(served, lambda refine: refine.update(file="steps.onnx"))
    with pytest.raises(BundleError, match=r"names the step graph steps\.onnx, which is not among its files"):
        Bundle.load(served)
    rewrite(served, lambda refine: refine.update(file="model.onnx"))
    with pytest.raises(BundleError, match=r"model\.onnx cannot be loaded as a step"):
        Bundle.load(served)
    rewrite(served, lambda refine: refine.update(file="step.onnx", heads=["colour"]))
    with pytest.raises(BundleError, match="refines colour, which the bundle does not answer"):
        Bundle.load(served)


def test_a_graph_without_token_vectors_cannot_be_refined(served: Path, tuned: Path) -> None:
    """The step reads what the encoder's graph has to give."""
    shutil.copyfile(tuned / "model.onnx", served / "model.onnx")
    manifest = json.loads((served / "manifest.json").read_text())
    manifest["files"]["model.onnx"] = describe_file(served / "model.onnx").model_dump()
    (served / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"model\.onnx has no output states of width 32"):
        Bundle.load(served)


def test_rows_without_the_bundles_validation_authors_are_refused(
    tuned: Path, tmp_path: Path, rows: list[MailRow]
) -> None:
    """The message names the authors that are wanted, and a folder that holds something else is left alone."""
    others = [row for row in rows if row.author not in {"sam", "jonas"}]
    with pytest.raises(InputError, match=r"calibrated on \(jonas, sam\)"):
        refine_bundle(tuned, tmp_path / "out", others, quiet=True)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is no bundle"):
        refine_bundle(tuned, tmp_path, rows, quiet=True)


def test_a_graph_without_heads_has_no_token_vectors_to_expose(tmp_path: Path) -> None:
    """The message names the file."""
    write_classifier(tmp_path / "bare.onnx", random_encoder(words=20, positions=8, layers=1), ())
    with pytest.raises(InputError, match=r"bare\.onnx is no graph of encoder and heads"):
        expose_states(tmp_path / "bare.onnx", tmp_path / "out.onnx")
