"""From torch to the fp32 graph to int8: token vectors, logits, and what is reported of each head and slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from optimum_graph import optimum_vectors

from mailweir.models.export.encoder import EncoderGraph, write_classifier
from mailweir.models.export.linear import Fp32
from mailweir.models.export.weights import Encoder, Floats, LinearHead
from mailweir.models.runtime.graph import Graph, Ids
from mailweir.models.training.answer import Answered
from mailweir.models.training.corpus import MailRow, load_mails
from mailweir.models.training.fidelity import slice_parity
from mailweir.models.training.heads import Question, Strength
from mailweir.models.training.network import torch_encoder
from mailweir.models.training.parity_card import parity_section
from mailweir.models.training.recipe import Steps, progress_bars
from mailweir.models.training.reference_graph import torch_logits
from mailweir.models.training.split import Run, Split
from mailweir.models.training.tiny import TINY, random_encoder, tiny_base
from mailweir.models.training.train import Given, train_bundle
from mailweir.models.training.tuning import Adapters, Tuning
from mailweir.schemas.manifest import HeadSpec

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return random_encoder(words=60, positions=24, layers=3)


@pytest.fixture(scope="module")
def mails() -> list[Ids]:
    draw = np.random.default_rng(5)
    return [draw.integers(4, 60, size=int(size)) for size in draw.integers(3, 24, size=12)]


def torch_vectors(encoder: Encoder, mails: Sequence[Ids]) -> list[Floats]:
    """Per mail (tokens, hidden): its token vectors by transformers and torch, each mail alone."""
    model = torch_encoder(encoder).eval()
    with torch.no_grad():
        return [model(torch.from_numpy(mail)[None]).last_hidden_state[0].numpy() for mail in mails]


def our_vectors(encoder: Encoder, mails: list[Ids], path: Path) -> list[Floats]:
    """Token vectors of the fp32 graph that our writer makes."""
    writer = EncoderGraph(encoder, Fp32(), small_embeddings=False)
    writer.states(writer.write())
    writer.graph.save(path)
    found: dict[int, Floats] = {}
    for ran in Graph(path, padding=1).run(mails, ["states"]):
        found.update(zip(ran.rows, ran.outputs[0], strict=True))
    return [found[row] for row in range(len(mails))]


def test_our_graph_gives_the_vectors_of_torch(tmp_path: Path, encoder: Encoder, mails: list[Ids]) -> None:
    """Token by token within 1e-4; with one layer less it would not."""
    ours, shallow = our_vectors(encoder, mails, tmp_path / "m.onnx"), replace(encoder, layers=encoder.layers[:2])
    for mine, theirs in zip(ours, torch_vectors(encoder, mails), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)
    assert max(np.abs(a - b).max() for a, b in zip(ours, torch_vectors(shallow, mails), strict=True)) > 0.1


@pytest.mark.filterwarnings("ignore")  # of optimum, about its own dependencies
def test_our_graph_gives_the_vectors_of_the_graph_of_optimum(
    tmp_path: Path, encoder: Encoder, mails: list[Ids]
) -> None:
    """The same network through optimum's exporter: token by token within 1e-4."""
    ours = our_vectors(encoder, mails, tmp_path / "m.onnx")
    for mine, theirs in zip(ours, optimum_vectors(encoder, mails), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)


def test_logits_by_torch_are_those_of_the_graph(tmp_path: Path, encoder: Encoder, mails: list[Ids]) -> None:
    """A head with a query, a centre and words, and one without a query, mail by mail."""
    draw = np.random.default_rng(6)

    def drawn(*shape: int) -> Floats:
        return draw.normal(size=shape).astype(np.float32)

    heads = [
        LinearHead("a", ("x", "y", "z"), drawn(32, 3), drawn(3), drawn(32), drawn(40, 3), drawn(32)),
        LinearHead("b", ("x", "y"), drawn(32, 2), drawn(2), drawn(32), drawn(40, 2), np.zeros(32, np.float32)),
    ]
    write_classifier(tmp_path / "m.onnx", encoder, heads)
    graph, rows = Graph(tmp_path / "m.onnx", padding=1), np.array([0, 2, 5])
    found = torch_logits(encoder, heads, mails, rows)
    for head in heads:
        np.testing.assert_allclose(found[head.name][rows], graph.table(mails, head.name)[rows], atol=5e-3)
        assert np.isnan(found[head.name][1]).all()


def rows_of(languages: str, words: str) -> list[MailRow]:
    """Rows in the languages `e` or `t`, short or long by `s` and `l`."""
    row = load_mails()[0]
    named = {"e": "en", "t": "tr"}
    return [
        row.model_copy(
            update={"language": named[code], "body": "word " * (400 if size == "l" else 5), "author": f"a{place % 3}"}
        )
        for place, (code, size) in enumerate(zip(languages, words, strict=True))
    ]


def test_a_slice_that_differs_is_seen_in_its_slice() -> None:
    """One of two Turkish answers changes in the second step: the slice says .5, the others stay whole."""
    rows = rows_of("eeett", "sssll")
    split = Split.by_author(rows, 2, {"a0"})
    answers = np.eye(2, dtype=np.int64)[[0, 1, 0, 1, 0]]
    question = Question("category", "one", ("x", "y"), answers, np.ones(5, bool))
    right = answers.astype(np.float32)
    wrong = right.copy()
    wrong[4] = wrong[4][::-1]
    spec = HeadSpec(kind="one", labels=("x", "y"), temperature=1.0, threshold=0.5)
    head = LinearHead("category", ("x", "y"), *(np.zeros(1, np.float32),) * 5)
    with progress_bars(hidden=True) as progress:
        run = Run(rows, split, TINY, Steps(progress))
        one = Answered(question, head, spec, Strength(0.1, balanced=True), right)
        forms = {"torch": {"category": right}, "fp32": {"category": right}, "int8": {"category": wrong}}
        found = slice_parity(run, [one], forms, np.ones(5, bool))["category"]
    assert {name: each["rows"] for name, each in found.items()}.keys() >= {"all", "en", "tr"}
    assert found["en"]["fp32 to int8"] == {"agreement": 1.0, "f1_change": 0.0}
    assert found["tr"]["torch to fp32"] == {"agreement": 1.0, "f1_change": 0.0}
    assert found["tr"]["fp32 to int8"]["agreement"] == 0.5
    assert found["all"]["fp32 to int8"]["agreement"] == 0.8
    assert found["tr"]["fp32 to int8"]["f1_change"] < -0.3
    card = "\n".join(parity_section({"category": found}))
    assert f"- torch to fp32: {len(found)} of {len(found)} heads and slices within both." in card
    assert "| category | tr | 2 | 1.0000 | +0.00 | 0.5000 | " in card


def test_a_tuned_bundle_says_how_it_answers_beside_its_network(tmp_path: Path) -> None:
    """Every head, every language and length of validation and test rows, from torch on; the card has the table."""
    rows = [row for row in load_mails() if row.author in {"ada", "cleo", "dov", "ebru", "iris"}][::4]
    tuning = Tuning(Adapters(rank=2, frozen=0), heads_epochs=1, epochs=1, batch=16, augment=0.0)
    recipe = replace(TINY, tuning=tuning, validation=("ebru",))
    manifest = train_bundle(tmp_path / "bundle", rows, recipe, Given(base=tiny_base(rows), quiet=True))
    found = manifest.metrics["parity_slices"]
    judged = [row for row in rows if row.author in {"ebru", "iris"}]
    assert found.keys() == manifest.heads.keys()
    for slices in found.values():
        assert slices["all"]["rows"] == len(judged)
        assert slices["en"]["rows"] == sum(row.language == "en" for row in judged)
        assert slices["all"]["torch to fp32"]["agreement"] >= 0.995
        assert slices["all"]["fp32 to int8"]["agreement"] >= 0.9
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text()
    assert "| head | slice | mails | torch to fp32: same | F1 | fp32 to int8: same | F1 |" in card


def test_a_frozen_bundle_has_no_network_beside_it(tiny: Path) -> None:
    """Its encoder never was in torch: parity begins with the fp32 graph."""
    from mailweir.models.runtime.integrity import read_manifest

    found = read_manifest(tiny).metrics["parity_slices"]
    assert {name for slices in found.values() for each in slices.values() for name in each} == {"rows", "fp32 to int8"}
