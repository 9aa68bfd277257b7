"""The classifier as one ONNX graph: token ids in, one logit per label out.

Inputs: ``input_ids`` and ``attention_mask``, int64, (batch, length). Outputs: one per head, named after it, (batch, labels);
``tokens``, (batch, length, all labels side by side): what each token contributes to each logit before the mean is taken;
``tags``, (batch, length, tags), where the bundle has a tagger;
``sentences``, (batch, length, 2), where it scores sentences: the mean over a sentence's tokens is its score, since the mean of a
linear function is that of the mean;
``pooled``, (batch, hidden): the mean token vector, from which new heads are trained. ONNX Runtime computes the token
contributions anyway; who does not ask for the output does not pay for the copy.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mailweir.models.export.graph import MICROSOFT, GraphWriter
from mailweir.models.export.linear import Fp32, Product, quantize_rows
from mailweir.models.export.weights import Affine, Encoder, Floats, Layer, LinearHead, Norm, Tagger

INPUTS = ("input_ids", "attention_mask")
POOLED = "pooled"
TOKENS = "tokens"
TAGS = "tags"
SENTENCES = "sentences"
STATES = "states"


class EncoderGraph:
    """Writes an encoder into a graph, layer by layer; ``probes`` names activations on the way."""

    def __init__(self, encoder: Encoder, product: Product, *, small_embeddings: bool) -> None:
        """``product`` is the form of every matrix; ``small_embeddings`` stores embedding rows as int8."""
        self.graph = GraphWriter("mailweir")
        self.probes: dict[str, str] = {}
        self._encoder = encoder
        self._product = product
        self._small = small_embeddings
        for name in INPUTS:
            self.graph.input(name, "int64", ["batch", "length"])
        g, heads = self.graph, encoder.attention_heads
        self._shape = g.node("Shape", INPUTS[0])
        self._flat = g.integers(-1, encoder.hidden)
        self._deep = g.node("Concat", self._shape, g.integers(encoder.hidden), axis=0)
        self._heads = heads
        self._mask = g.node("Cast", INPUTS[1], to=6)  # int32, as the attention operator wants it

    def write(self) -> str:
        """Append the whole encoder; gives the token vectors, (batch * length, hidden)."""
        value = self._embed()
        for index, layer in enumerate(self._encoder.layers):
            value = self._layer(value, layer, f"layer{index}")
        return value

    def pool(self, flat: str, width: int) -> str:
        """Mean over the tokens that are not padding: (batch * length, width) to (batch, width)."""
        g = self.graph
        deep = g.node("Reshape", flat, g.node("Concat", self._shape, g.integers(width), axis=0))
        mask = g.node("Cast", INPUTS[1], to=1)
        total = g.node("Squeeze", g.node("MatMul", g.node("Unsqueeze", mask, g.integers(1)), deep), g.integers(1))
        return g.node("Div", total, g.node("ReduceSum", mask, g.integers(1), keepdims=1))

    def heads(self, value: str, heads: Sequence[LinearHead]) -> None:
        """Append the heads and their outputs."""
        g = self.graph
        kernel = np.concatenate([head.kernel for head in heads], axis=1)
        centre = np.concatenate([-(head.centre @ head.kernel) for head in heads])
        width = kernel.shape[1]
        each = Fp32().write(g, value, Affine(kernel, centre.astype(np.float32)), "heads", "")
        if any(head.query.any() for head in heads):
            each = g.node("Mul", each, self._shares(value, heads))
        each = g.node("Add", each, self._lexical(np.concatenate([head.lexicon for head in heads], axis=1)))
        bias = g.constant("heads.intercept", np.concatenate([head.bias for head in heads]))
        logits = g.node("Add", self.pool(each, width), bias)
        sizes = [len(head.labels) for head in heads]
        parts = g.nodes("Split", logits, g.integers(*sizes), outputs=len(heads), axis=1)
        for head, part in zip(heads, parts, strict=True):
            g.output(head.name, part, ["batch", len(head.labels)])
        self._each(TOKENS, each, width)

    def tags(self, value: str, tagger: Tagger) -> None:
        """Append the tagger and its output."""
        self._each(TAGS, Fp32().write(self.graph, value, tagger.affine, "tagger", ""), len(tagger.names))

    def sentences(self, value: str, scorer: Affine) -> None:
        """Append the scores of sentences and their output."""
        self._each(SENTENCES, Fp32().write(self.graph, value, scorer, "scorer", ""), scorer.kernel.shape[1])

    def states(self, value: str) -> None:
        """Append the token vectors as an output, from which scorers of sentences are trained."""
        self._each(STATES, value, self._encoder.hidden)

    def _each(self, name: str, flat: str, width: int) -> None:
        """Make (batch * length, width) an output of (batch, length, width)."""
        g = self.graph
        deep = g.node("Reshape", flat, g.node("Concat", self._shape, g.integers(width), axis=0))
        g.output(name, deep, ["batch", "length", width])

    def _shares(self, value: str, heads: Sequence[LinearHead]) -> str:
        """How much each token counts for each label, 1 on average: (batch * length, all labels)."""
        g = self.graph
        queries = g.constant("queries", np.stack([head.query for head in heads], axis=1))
        scores = g.node(
            "Reshape", g.node("MatMul", value, queries), g.node("Concat", self._shape, g.integers(len(heads)), axis=0)
        )
        mask = g.node("Unsqueeze", g.node("Cast", INPUTS[1], to=1), g.integers(2))  # (batch, length, 1)
        shut = g.node("Mul", g.node("Sub", mask, g.number(1.0)), g.number(1e9))
        share = g.node("Softmax", g.node("Add", scores, shut), axis=1)
        count = g.node("ReduceSum", mask, g.integers(1), keepdims=1)
        owner = np.repeat(np.arange(len(heads)), [len(head.labels) for head in heads])
        each = g.node("Gather", g.node("Mul", share, count), g.constant("owner", owner), axis=2)
        return g.node("Reshape", each, g.integers(-1, len(owner)))

    def _lexical(self, lexicon: Floats) -> str:
        """What the pieces themselves say, (batch * length, all labels); half precision: 1 MB instead of 2."""
        g, (rows, width) = self.graph, lexicon.shape
        table = g.constant("lexicon", np.concatenate([lexicon, np.zeros((1, width))]).astype(np.float16))
        places = g.node("Min", INPUTS[0], g.integers(rows))  # unseen pieces share the last row, which is zero
        said = g.node("Cast", g.node("Gather", table, places), to=1)  # (batch, length, all labels)
        count = g.node("ReduceSum", g.node("Cast", INPUTS[1], to=1), g.integers(1), keepdims=1)
        root = g.node("Unsqueeze", g.node("Sqrt", count), g.integers(2))  # (batch, 1, 1)
        return g.node("Reshape", g.node("Mul", said, root), g.integers(-1, width))

    def pooled(self, value: str) -> None:
        """Append the output that new heads are trained from."""
        self.graph.output(POOLED, self.pool(value, self._encoder.hidden), ["batch", self._encoder.hidden])

    def _embed(self) -> str:
        g, encoder = self.graph, self._encoder
        length = g.node("Slice", self._shape, g.integers(1), g.integers(2), g.integers(0))
        positions = g.constant("positions", encoder.positions)
        places = g.node("Slice", positions, g.integers(0), length, g.integers(0))
        value = g.node("Add", self._words(), places)
        return g.node("Reshape", self._norm(value, encoder.embedding_norm, "embedding_norm"), self._flat)

    def _words(self) -> str:
        g = self.graph
        if not self._small:
            return g.node("Gather", g.constant("words", self._encoder.words), INPUTS[0])
        rows, scales = quantize_rows(self._encoder.words)
        whole = g.node("Cast", g.node("Gather", g.constant("words", rows), INPUTS[0]), to=1)
        return g.node("Mul", whole, g.node("Gather", g.constant("words.scales", scales), INPUTS[0]))

    def _layer(self, value: str, layer: Layer, name: str) -> str:
        attended = self._attend(value, layer, name)
        added = self._linear(attended, layer.attention_out, f"{name}.attention_out")
        value = self._norm(self.graph.node("Add", added, value), layer.attention_norm, f"{name}.attention_norm")
        wide = self._linear(value, layer.up, f"{name}.up")
        bent = self.graph.node("Gelu", wide, domain=MICROSOFT)
        added = self._linear(bent, layer.down, f"{name}.down")
        return self._norm(self.graph.node("Add", added, value), layer.output_norm, f"{name}.output_norm")

    def _attend(self, value: str, layer: Layer, name: str) -> str:
        g = self.graph
        packed = self._linear(value, layer.qkv, f"{name}.qkv")
        parts = g.nodes("Split", packed, outputs=3, axis=1, num_outputs=3)
        query, key, content = (g.node("Reshape", part, self._deep) for part in parts)
        attended = g.node(
            "MultiHeadAttention", query, key, content, "", self._mask, domain=MICROSOFT, num_heads=self._heads
        )
        return g.node("Reshape", attended, self._flat)

    def _linear(self, value: str, affine: Affine, name: str) -> str:
        self.probes[name] = value
        return self._product.write(self.graph, value, affine, name, name)

    def _norm(self, value: str, norm: Norm, name: str) -> str:
        # Add + LayerNormalization: the fused SkipLayerNormalization was 2.5 times slower (35 ms of 166 against 10).
        gain, bias = self.graph.constant(f"{name}.gain", norm.gain), self.graph.constant(f"{name}.bias", norm.bias)
        return self.graph.node("LayerNormalization", value, gain, bias, axis=-1, epsilon=self._encoder.epsilon)


def write_classifier(
    path: Path,
    encoder: Encoder,
    heads: Sequence[LinearHead],
    product: Product | None = None,
    tagger: Tagger | None = None,
    scorer: Affine | None = None,
) -> None:
    """Write encoder and heads to ``path``: fp32 without ``product``, else in its form and with int8 embedding rows."""
    writer = EncoderGraph(encoder, product or Fp32(), small_embeddings=product is not None)
    value = writer.write()
    writer.pooled(value)
    if heads:
        writer.heads(value, heads)
    if tagger:
        writer.tags(value, tagger)
    if scorer:
        writer.sentences(value, scorer)
    writer.graph.save(path)


def write_states(path: Path, encoder: Encoder, product: Product) -> None:
    """Write the encoder in its served form with the token vectors as its only output."""
    writer = EncoderGraph(encoder, product, small_embeddings=True)
    writer.states(writer.write())
    writer.graph.save(path)


def write_probes(path: Path, encoder: Encoder) -> tuple[str, ...]:
    """Write the fp32 encoder with the input of every matrix as an output, (tokens, channels); gives their names."""
    writer = EncoderGraph(encoder, Fp32(), small_embeddings=False)
    writer.write()
    for name, value in writer.probes.items():
        writer.graph.output(name, value, ["tokens", "channels"])
    writer.graph.save(path)
    return tuple(writer.probes)
