"""The cascade: where mail stops, in a bundle that has a cheap tier or has not."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mailweir.models.runtime import Bundle, Scores, entity_precision_of, shipped_bundle
from mailweir.models.runtime.integrity import describe_file, read_manifest
from mailweir.models.runtime.linear import LINEAR, cheap_heads, least_sure, read_tables
from mailweir.models.text.model_input import ModelInput, compose_fields
from mailweir.models.training.tiny import TINY, build_tiny_bundle
from mailweir.models.training.write import Made, write_bundle
from mailweir.schemas.errors import BundleError
from mailweir.schemas.events import ModelRef
from mailweir.schemas.manifest import CheapSpec, Manifest

TEXTS = (
    ("PO 4500771203", "Please order 12 units of XHU-00001 by Friday, the invoice goes to us."),
    ("You won", "Claim your prize now, click here to receive the money. " * 5),
    ("Sipariş", "Merhaba, siparişimiz nerede? İyi çalışmalar."),
    ("ok", "ok"),
)


def mail(subject: str = "", body: str = "", mailbox: str = "sales") -> ModelInput:
    return compose_fields(subject, "a@example.org", mailbox, body, ())


INPUTS = [mail(*text) for text in TEXTS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny bundle with a cheap tier, as training leaves it."""
    path = tmp_path_factory.mktemp("bundles") / "tiny"
    build_tiny_bundle(path, recipe=replace(TINY, cheap=400))
    return path


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def edit(folder: Path, **cheap: object) -> Path:
    """The bundle with another cheap tier in its manifest, and the hash of the file as it is now."""
    path = folder / "manifest.json"
    read = json.loads(path.read_text())
    read["cheap"] |= cheap
    read["files"][LINEAR] = describe_file(folder / LINEAR).model_dump()
    path.write_text(json.dumps(read))
    return folder


def test_training_writes_the_cheap_tier(folder: Path) -> None:
    """One more file under its hash, temperatures for all heads, a curve from no stop on; small."""
    manifest = read_manifest(folder)
    assert manifest.cheap is not None
    assert manifest.files[LINEAR] == describe_file(folder / LINEAR)
    assert manifest.cheap.temperatures.keys() == manifest.heads.keys()  # no tagger here, so nobody asks for quiet
    assert manifest.cheap.curve[0].stopped == 0
    assert manifest.cheap.entity_precision == manifest.entity_precision
    if manifest.cheap.threshold is not None:
        chosen = next(point for point in manifest.cheap.curve if point.threshold == manifest.cheap.threshold)
        assert chosen.cost < manifest.cheap.cost_limit
    assert manifest.metrics["cheap"]["f1"].keys() == manifest.heads.keys()
    assert (folder / LINEAR).stat().st_size < 40_000


def _written(out: Path, manifest: Manifest, cheap: CheapSpec | None) -> Manifest:
    """A bundle of one file, with everything else as in `manifest`."""

    def make(folder: Path) -> Made:
        (folder / LINEAR).write_bytes(b"tables")
        vocabulary: Any = SimpleNamespace(padding=1, pieces=SimpleNamespace(unknown=3))
        parts: tuple[Any, ...] = (manifest.heads, {}, None, None, None, {}, manifest.metrics, (), {}, vocabulary)
        return Made(TINY, *parts, cheap=cheap)

    return write_bundle(out, make)


def test_the_cheap_tier_is_part_of_the_version(folder: Path, tmp_path: Path) -> None:
    """Another threshold gives other answers, so another model version and other decision ids; a slower machine does not."""
    manifest = read_manifest(folder)
    assert manifest.cheap is not None
    curve = tuple(point.model_copy(update={"milliseconds": 99.0}) for point in manifest.cheap.curve)
    cheaps = [
        None,
        manifest.cheap,
        *(manifest.cheap.model_copy(update=c) for c in ({"threshold": 0.1}, {"curve": curve})),
    ]
    versions = [_written(tmp_path / "out", manifest, cheap).model.version for cheap in cheaps]
    assert len(set(versions)) == 3
    assert versions[3] == versions[1]
    assert "## The cheap tier" in (tmp_path / "out" / "MODEL_CARD.md").read_text()


def test_mail_stops_at_its_threshold(copy: Path) -> None:
    """At 0 all stop, tier `linear`, no token and no millisecond of the model; without a threshold none does."""
    for one in Bundle.load(edit(copy, threshold=0.0)).classify(INPUTS):
        assert (one.tier, one.tokenize_ms, one.model_ms) == ("linear", 0.0, 0.0)
        assert one.cheap_ms > 0
        assert one.tagged == ()
    encoded = Bundle.load(edit(copy, threshold=None))
    assert encoded.manifest.tier == "encoder"
    assert {(one.tier, one.cheap_ms) for one in encoded.classify(INPUTS)} == {("encoder", 0.0)}


def test_between_the_two_each_mail_goes_its_own_way(copy: Path) -> None:
    """What stops has the cheap tier's answer, what does not the encoder's, in the order of the input."""
    _without_sentences(copy)  # with them, only mail without a summary may stop
    cheap = Bundle.load(edit(copy, threshold=0.0)).classify(INPUTS)
    sure = [_sureness(one, Bundle.load(copy).manifest) for one in cheap]
    middle = min(one for one in sure if one > min(sure))
    bundle = Bundle.load(edit(copy, threshold=middle))
    encoded = bundle.classify(INPUTS, cascade=False)
    mixed = bundle.classify(INPUTS)
    assert [one.tier for one in mixed] == ["linear" if one >= middle else "encoder" for one in sure]
    assert {one.tier for one in mixed} == {"linear", "encoder"}
    for one, low, high in zip(mixed, cheap, encoded, strict=True):
        expected = low if one.tier == "linear" else high
        for name, values in expected.heads.items():
            np.testing.assert_array_equal(one.heads[name], values)


def test_only_mail_without_a_summary_stops(copy: Path) -> None:
    """Where the bundle sums up: whatever the threshold, only labels that it makes no summary for."""
    bundle = Bundle.load(edit(copy, threshold=1e-9))
    assert bundle.manifest.sentences is not None
    spared, labels = bundle.manifest.sentences.summary.never["category"], bundle.manifest.heads["category"].labels
    alone = Bundle.load(_without_sentences(copy)).classify(INPUTS)
    for one, other in zip(bundle.classify(INPUTS), alone, strict=True):
        assert (one.tier == "linear") == (labels[int(other.heads["category"].argmax())] in spared)


def _without_sentences(folder: Path) -> Path:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sentences": None}))
    return folder


def _sureness(scores: Scores, manifest: Manifest) -> float:
    assert manifest.cheap is not None
    only = manifest.sentences.summary.never if manifest.sentences else None
    return least_sure(scores.heads, cheap_heads(manifest.heads, manifest.cheap.temperatures), only)


def test_batch_mates_change_neither_answer_nor_tier(copy: Path) -> None:
    """Alone, together, reversed, in threads: the same tier and the same scores to the last bit."""
    bundle = Bundle.load(edit(copy, threshold=0.15))
    alone = [bundle.classify([given])[0] for given in INPUTS]
    with ThreadPoolExecutor(4) as pool:
        others = [*pool.map(bundle.classify, [INPUTS] * 4), bundle.classify(INPUTS[::-1])[::-1]]
    for other in others:
        for one, expected in zip(other, alone, strict=True):
            assert (one.tier, one.tokens) == (expected.tier, expected.tokens)
            for name, values in expected.heads.items():
                np.testing.assert_array_equal(one.heads[name], values)


def test_a_mail_without_a_known_word_never_stops(copy: Path) -> None:
    """The priors alone may be sure: of such a mail they know nothing."""
    unknown = ModelInput("qqqzzz", cut=False, empty=False)
    (one,) = Bundle.load(edit(copy, threshold=0.0001)).classify([unknown])
    assert one.tier == "encoder"


def test_reasons_of_a_mail_that_stops_are_its_words(copy: Path) -> None:
    """Asked for, each head of one names words or pairs as they stand in the mail, strongest first."""
    bundle = Bundle.load(edit(copy, threshold=0.0))
    plain, (one,) = bundle.classify(INPUTS[:1])[0], bundle.classify(INPUTS[:1], reasons=True)
    assert plain.reasons == {}
    assert one.reasons.keys() == {name for name, head in bundle.manifest.heads.items() if head.kind == "one"}
    for reasons in one.reasons.values():
        weights = [reason.weight for reason in reasons]
        assert weights == sorted(weights, reverse=True)
        assert all(word in INPUTS[0].text for reason in reasons for word in reason.text.split())


def test_rules_count_as_measured_in_the_tier_that_answered(copy: Path) -> None:
    """Beside a tagger a rule is right less often than alone: a stopped mail's entities use the figures of alone."""
    manifest = Bundle.load(edit(copy, threshold=0.0, entity_precision={"amount/currency": 0.97})).manifest
    scores = Scores({}, tokens=0, truncated=False, empty=False, tokenize_ms=0, model_ms=0)
    assert entity_precision_of(replace(scores, tier="linear"), manifest) == {"amount/currency": 0.97}
    assert entity_precision_of(scores, manifest) == manifest.entity_precision
    none = manifest.model_copy(update={"cheap": None})
    assert entity_precision_of(replace(scores, tier="rules"), none) == manifest.entity_precision


@pytest.mark.parametrize("damage", ["columns", "kind", "content", "missing", "temperature"])
def test_a_table_that_does_not_fit_is_refused(copy: Path, damage: str) -> None:
    """Right hash, wrong content: a bundle error that names the file or head, before any mail."""
    path, said = copy / LINEAR, LINEAR.replace(".", r"\.")
    tables = read_tables(path)
    if damage == "columns":
        replace(tables, weights=tables.weights[:, 1:]).save(path)
    elif damage == "kind":
        np.savez_compressed(path, keys=tables.keys, rarity=tables.rarity, weights=tables.weights.astype(np.float32), scales=tables.scales, bias=tables.bias)  # fmt: skip
    elif damage == "content":
        path.write_bytes(b"PK nothing")
    elif damage == "missing":
        np.savez_compressed(path, keys=tables.keys)
    edit(copy, threshold=0.5, **({"temperatures": {"category": 1.0}} if damage == "temperature" else {}))
    with pytest.raises(BundleError, match="temperature" if damage == "temperature" else said):
        Bundle.load(copy)


def test_a_pickle_is_not_opened(copy: Path) -> None:
    """An object array could run code when it is read: it is refused."""
    np.savez_compressed(copy / LINEAR, keys=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BundleError, match="cannot be loaded"):
        Bundle.load(edit(copy, threshold=0.5))


def test_a_bundle_without_a_cheap_tier_asks_the_model_alone() -> None:
    """As bundles made before there was one: the manifest reads, every mail goes to the encoder."""
    read = json.loads((shipped_bundle("task") / "manifest.json").read_text())
    read.pop("cheap", None)
    manifest = Manifest.model_validate(read)
    assert manifest.cheap is None
    assert isinstance(manifest.model, ModelRef)
    (one,) = Bundle.load(shipped_bundle("task")).classify(INPUTS[:1], cascade=False)
    assert (one.tier, one.cheap_ms) == ("encoder", 0.0)
