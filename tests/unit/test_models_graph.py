"""The graph writer against a plain forward pass, and the int8 form against the fp32 one."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bench.parity_cpu import preload, run
from numpy.typing import NDArray

from mailweir.models.export.encoder import TOKENS, write_classifier
from mailweir.models.export.linear import Activation, quantize_columns, quantize_rows
from mailweir.models.export.quantize import int8_form, observe
from mailweir.models.export.weights import Affine, Encoder, LinearHead, Norm
from mailweir.models.runtime.graph import Graph, pad, saturates, sub_batches
from mailweir.models.training.tiny import random_encoder

Array = NDArray[np.float32]
RNG = np.random.default_rng(5)
WORDS, HIDDEN, SEEN = 50, 32, 20


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return random_encoder(words=WORDS, positions=40, layers=2)


@pytest.fixture(scope="module")
def head() -> LinearHead:
    draw = np.random.default_rng(3)
    return LinearHead(
        "category",
        ("a", "b", "c"),
        kernel=draw.normal(size=(HIDDEN, 3)).astype(np.float32),
        bias=draw.normal(size=3).astype(np.float32),
        centre=draw.normal(size=HIDDEN).astype(np.float32),
        lexicon=draw.normal(size=(SEEN, 3)).astype(np.float16).astype(np.float32),
        query=draw.normal(0, 0.3, size=HIDDEN).astype(np.float32),
    )


def mails(count: int = 6) -> list[NDArray[np.int64]]:
    draw = np.random.default_rng(9)
    return [draw.integers(0, WORDS, size=int(length)) for length in draw.integers(3, 40, size=count)]


def normed(x: Array, norm: Norm, epsilon: float) -> Array:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon) * norm.gain + norm.bias


def affine(x: Array, a: Affine) -> Array:
    return x @ a.kernel + a.bias


def forward(encoder: Encoder, ids: NDArray[np.int64]) -> Array:
    """(length, hidden) of one mail: the encoder as its paper writes it."""
    x = normed(encoder.words[ids] + encoder.positions[: len(ids)], encoder.embedding_norm, encoder.epsilon)
    for layer in encoder.layers:
        parts = [p.reshape(len(ids), encoder.attention_heads, -1) for p in np.split(affine(x, layer.qkv), 3, axis=1)]
        weights = np.einsum("qhd,khd->hqk", parts[0], parts[1]) / math.sqrt(parts[0].shape[-1])
        weights = np.exp(weights - weights.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        attended = np.einsum("hqk,khd->qhd", weights, parts[2]).reshape(len(ids), -1)
        x = normed(x + affine(attended, layer.attention_out), layer.attention_norm, encoder.epsilon)
        wide = affine(x, layer.up)
        bent = wide * 0.5 * (1 + np.vectorize(math.erf)(wide / math.sqrt(2)))
        x = normed(x + affine(bent, layer.down), layer.output_norm, encoder.epsilon)
    return x


def test_fp32_graph_equals_a_plain_forward_pass(tmp_path: Path, encoder: Encoder, head: LinearHead) -> None:
    """Logits, token contributions and pooled vector of the written graph are those of the definition."""
    write_classifier(tmp_path / "m.onnx", encoder, [head])
    graph = Graph(tmp_path / "m.onnx", padding=1)
    for mail in mails():
        (ran,) = graph.run([mail], ["category", TOKENS, "pooled"])
        vectors = forward(encoder, mail)
        lexical = np.array([head.lexicon[i] if i < SEEN else np.zeros(3) for i in mail])
        share = np.exp(vectors @ head.query)
        share *= len(mail) / share.sum()
        each = share[:, None] * ((vectors - head.centre) @ head.kernel) + math.sqrt(len(mail)) * lexical
        np.testing.assert_allclose(ran.outputs[2][0], vectors.mean(0), atol=1e-5)
        np.testing.assert_allclose(ran.outputs[1][0], each, atol=1e-4)
        np.testing.assert_allclose(ran.outputs[0][0], each.mean(0) + head.bias, atol=1e-4)


def test_int8_graph_is_close_to_fp32(tmp_path: Path, encoder: Encoder, head: LinearHead) -> None:
    """The served form gives logits near the reference, and not exactly the reference: it is quantized."""
    many = mails(40)
    write_classifier(tmp_path / "fp32.onnx", encoder, [head])
    write_classifier(tmp_path / "int8.onnx", encoder, [head], int8_form(encoder, many))
    fp32, int8 = (Graph(tmp_path / f"{name}.onnx", 1).table(many, "category") for name in ("fp32", "int8"))
    difference = np.abs(fp32 - int8).max()
    assert 0 < difference < 0.05 * np.abs(fp32).max()
    assert (tmp_path / "int8.onnx").stat().st_size < (tmp_path / "fp32.onnx").stat().st_size


def test_same_calls_write_the_same_bytes(tmp_path: Path, encoder: Encoder, head: LinearHead) -> None:
    """A graph is reproducible to the byte."""
    form = int8_form(encoder, mails())
    for name in ("a", "b"):
        write_classifier(tmp_path / name, encoder, [head], form)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_padding_and_neighbours_change_nothing(tmp_path: Path, encoder: Encoder, head: LinearHead) -> None:
    """A mail in a padded batch gets the logits that it gets alone."""
    many = mails(20)
    write_classifier(tmp_path / "m.onnx", encoder, [head], int8_form(encoder, many))
    graph = Graph(tmp_path / "m.onnx", padding=1)
    alone = graph.table(many, "category")
    for ran in graph.run(many, ["category"], token_budget=10_000):
        np.testing.assert_allclose(ran.outputs[0], alone[list(ran.rows)], atol=1e-4)


def test_smoothing_does_not_change_the_product() -> None:
    """What the activation is divided by, the kernel is multiplied with."""
    x, w = RNG.normal(size=(7, 5)).astype(np.float32), RNG.normal(size=(5, 3)).astype(np.float32)
    x[:, 2] *= 100
    smoothing = Activation(x.min(0), x.max(0)).smoothing(w)
    np.testing.assert_allclose((x / smoothing) @ (w * smoothing[:, None]), x @ w, rtol=1e-4, atol=1e-4)
    assert np.abs(x / smoothing).max() < np.abs(x).max()


def test_quantized_weights_are_within_half_a_step() -> None:
    """Columns and rows each have their own scale, and no weight moves by more than half of it."""
    table = RNG.normal(size=(11, 6)).astype(np.float32)
    columns, column_scales = quantize_columns(table)
    rows, row_scales = quantize_rows(table)
    assert np.abs(columns * column_scales - table).max() <= column_scales.max() / 2 + 1e-6
    assert np.abs(rows * row_scales - table).max() <= row_scales.max() / 2 + 1e-6


def test_quantization_without_mail_is_refused(encoder: Encoder) -> None:
    """Ranges cannot be made up."""
    with pytest.raises(ValueError, match="at least one"):
        observe(encoder, [])


def test_sub_batches_hold_every_row_once_within_the_budget() -> None:
    """Groups are of similar length, none above the budget unless a row alone is."""
    lengths = [5, 90, 7, 7, 30, 31, 200]
    groups = sub_batches(lengths, 100)
    assert sorted(row for group in groups for row in group) == list(range(7))
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[row] for row in group) <= 100
    assert [6] in groups


def test_padding_is_masked() -> None:
    """The mask is 1 exactly where tokens are."""
    ids, mask = pad([np.array([4, 5]), np.array([6, 7, 8])], padding=1)
    assert ids.tolist() == [[4, 5, 1], [6, 7, 8]]
    assert mask.tolist() == [[1, 1, 0], [1, 1, 1]]


def test_the_runtime_is_told_to_report_nothing_before_it_is_loaded() -> None:
    """In a fresh interpreter the switch is set when onnxruntime is first looked for."""
    code = """
import os, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            print(os.environ.get("ORT_DISABLE_TELEMETRY"))

sys.meta_path.insert(0, Watch())
import mailweir.models.runtime
"""
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1"]


def test_without_vnni_the_precise_kernels_answer_alike(tmp_path: Path) -> None:
    """The processor says that it has no VNNI: with fast kernels a probability moves by a hundredth, with precise ones none does."""
    library = preload(tmp_path)
    if library is None or saturates():
        pytest.skip("needs VNNI, a C compiler and a kernel that lets a process trap CPUID")
    usual = run(tmp_path / "usual.npz", mails=8, fast=True)
    hidden = {fast: run(tmp_path / f"{fast}.npz", mails=8, fast=fast, hide=(library, "vnni")) for fast in (False, True)}
    heads = [name for name in usual if name != "ms"]
    moved = {fast: max(np.abs(usual[head] - found[head]).max() for head in heads) for fast, found in hidden.items()}
    assert moved[False] < 0.01 < moved[True]


@pytest.mark.parametrize(
    ("cpuinfo", "wanted"),
    [
        ("flags\t\t: fpu avx2 avx512f\n", True),
        ("flags\t\t: fpu avx2 avx_vnni\n", False),
        ("flags\t\t: fpu avx2 avx512f avx512_vnni\n", False),
        ("Features\t: fp asimd asimddp\n", False),
    ],
)
def test_precise_kernels_are_for_processors_without_vnni(tmp_path: Path, cpuinfo: str, wanted: bool) -> None:  # noqa: FBT001
    """x86-64 without VNNI needs them; with VNNI they would take twice the time, other processors do not know them."""
    (tmp_path / "cpuinfo").write_text("processor\t: 0\n" + cpuinfo)
    assert saturates(tmp_path / "cpuinfo") is wanted
    assert not saturates(tmp_path / "nowhere")
