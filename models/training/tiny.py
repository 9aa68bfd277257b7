"""A tiny bundle of the real form, made in seconds without the base model: for tests of everything around the model.

The encoder is random but fixed, one narrow layer over the commonest words of the corpus; heads, calibration, quantization
and files are those of the real training.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from mailweir.models.export.weights import Affine, Encoder, Floats, Layer, Norm
from mailweir.models.text.newest import newest_sentences
from mailweir.models.training.corpus import FOLDER, MailRow, load_mails
from mailweir.models.training.e5 import BaseModel, Pieces
from mailweir.models.training.heads import Strength
from mailweir.models.training.prepare import row_input
from mailweir.models.training.recipe import Recipe
from mailweir.models.training.references import Reference
from mailweir.models.training.train import Given, train_bundle
from mailweir.models.training.vocabulary import build_tokenizer
from mailweir.schemas.manifest import Manifest

_HIDDEN, _HEADS, _WIDE = 32, 2, 64
_WORDS = 1500
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")

_AUTHORS = frozenset({"ada", "cleo", "dov", "ebru", "iris"})  # a third of their rows holds every label
_EVERY = 3
TINY = Recipe(
    base="random words",
    layers=1,
    max_tokens=64,
    pieces=2000,
    ranging_mails=20,
    folds=2,
    strengths=(Strength(0.1, balanced=True),),
    words=(1.0,),
    cheap=0,
    baselines=False,
    tuning=None,
    validation=(),
)
"""What the tiny bundle is made by."""


def build_tiny_bundle(out: Path, corpus: Path = FOLDER, recipe: Recipe = TINY) -> Manifest:
    """Write a bundle below 1 MB to `out`; the same corpus and recipe give the same model."""
    rows, given = tiny_parts(corpus)
    return train_bundle(out, rows, recipe, given)


def tiny_parts(corpus: Path = FOLDER) -> tuple[list[MailRow], Given]:
    """The rows of the corpus that it learns from, and the base that is made of them."""
    rows = [row for row in load_mails(corpus) if row.author in _AUTHORS][::_EVERY]
    return rows, Given(base=tiny_base(rows), references=lead_references(rows), quiet=True)


def lead_references(rows: Iterable[MailRow]) -> dict[str, Reference]:
    """References that need no annotator: the first sentence sums a mail up, what ends with a question mark asks."""
    found = {}
    for row in rows:
        written = [sentence.text for sentence in newest_sentences(row_input(row))]
        asked = tuple(text for text in written if text.endswith("?"))
        if written:
            found[row.id] = Reference(
                id=row.id, summary=written[0], summary_sentences=(written[0],), action_items=asked
            )
    return found


def tiny_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """A tokenizer over the letters and words of `texts`."""
    return build_tokenizer(_pieces(texts))


def tiny_base(rows: Iterable[MailRow]) -> BaseModel:
    """One random layer over the letters and commonest words of `rows`."""
    pieces = _pieces(row_input(row).text for row in rows)
    return BaseModel("tiny", pieces, random_encoder(len(pieces.texts), TINY.max_tokens, TINY.layers))


def _pieces(texts: Iterable[str]) -> Pieces:
    words: Counter[str] = Counter()
    for text in texts:
        words.update("▁" + word for word in text.split())
    letters = Counter("".join(words))
    common = [word for word, _ in words.most_common(_WORDS)]
    kept = sorted(set(letters) | set(common))
    total = sum(words.values())
    scores = [float(np.log(max(words[piece], 1) / total)) - (0 if words[piece] else 4) for piece in kept]
    return Pieces(
        (*_SPECIAL, *kept), (0.0, 0.0, 0.0, 0.0, *scores), begin=0, padding=1, end=2, unknown=3, normalization={}
    )


def random_encoder(words: int, positions: int, layers: int) -> Encoder:
    """An encoder of the real form with fixed random weights, 32 wide."""
    rng = np.random.default_rng(0)

    def draw(*shape: int, scale: float) -> Floats:
        return rng.normal(0, scale, shape).astype(np.float32)

    def affine(inputs: int, outputs: int) -> Affine:
        return Affine(draw(inputs, outputs, scale=inputs**-0.5), draw(outputs, scale=0.02))

    def norm() -> Norm:
        return Norm(1 + draw(_HIDDEN, scale=0.02), draw(_HIDDEN, scale=0.02))

    def layer() -> Layer:
        return Layer(
            qkv=affine(_HIDDEN, 3 * _HIDDEN),
            attention_out=affine(_HIDDEN, _HIDDEN),
            attention_norm=norm(),
            up=affine(_HIDDEN, _WIDE),
            down=affine(_WIDE, _HIDDEN),
            output_norm=norm(),
        )

    return Encoder(
        words=draw(words, _HIDDEN, scale=1.0),
        positions=draw(positions, _HIDDEN, scale=0.02),
        embedding_norm=norm(),
        layers=tuple(layer() for _ in range(layers)),
        attention_heads=_HEADS,
        epsilon=1e-12,
    )
