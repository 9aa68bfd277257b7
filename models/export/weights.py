"""The numbers of one transformer encoder, in the layout that the graph writer wants: every kernel is (inputs, outputs)."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Affine:
    """``y = x @ kernel + bias``."""

    kernel: Floats  # (inputs, outputs)
    bias: Floats  # (outputs,)


@dataclass(frozen=True, slots=True)
class Norm:
    """Layer normalization over the last axis."""

    gain: Floats  # (hidden,)
    bias: Floats  # (hidden,)


@dataclass(frozen=True, slots=True)
class Layer:
    """One post-norm transformer layer; ``qkv`` holds query, key and value side by side."""

    qkv: Affine  # (hidden, 3 * hidden)
    attention_out: Affine  # (hidden, hidden)
    attention_norm: Norm
    up: Affine  # (hidden, feed_forward)
    down: Affine  # (feed_forward, hidden)
    output_norm: Norm


@dataclass(frozen=True, slots=True)
class Encoder:
    """Embeddings and layers of a BERT-shaped encoder (Devlin et al., 2019)."""

    words: Floats  # (vocabulary, hidden); the token type is already added
    positions: Floats  # (positions, hidden)
    embedding_norm: Norm
    layers: tuple[Layer, ...]
    attention_heads: int
    epsilon: float

    @property
    def hidden(self) -> int:
        """Width of a token's vector."""
        return int(self.words.shape[1])

    def fingerprint(self) -> str:
        """Tells encoders apart: another base, other pieces, more layers."""
        digest = hashlib.sha256(f"{len(self.layers)} {self.attention_heads}".encode())
        for array in (self.words, self.positions, self.layers[-1].down.kernel):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class LinearHead:
    """A linear classifier over a weighted mean of the token vectors and over the pieces that occur.

    A token contributes ``tokens * share * (vector - centre) @ kernel + sqrt(tokens) * lexicon[piece]``; the mean of the
    contributions plus ``bias`` is the logit. ``share`` is the softmax over the mail of ``vector @ query``, so that a head reads
    the tokens that matter to it; a query of zeros reads all alike. ``centre`` is the mean training vector, so an average token
    speaks for no label. Pieces beyond the lexicon's rows contribute nothing.
    """

    name: str
    labels: tuple[str, ...]
    kernel: Floats  # (hidden, labels)
    bias: Floats  # (labels,)
    centre: Floats  # (hidden,)
    lexicon: Floats  # (pieces seen in training, labels)
    query: Floats  # (hidden,)


@dataclass(frozen=True, slots=True)
class Tagger:
    """A linear classifier of every token: which tag it has."""

    names: tuple[str, ...]
    affine: Affine  # (hidden, tags)
