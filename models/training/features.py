"""Mean token vectors of the frozen encoder: what linear heads are trained on."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mailweir.models.export.encoder import POOLED, write_classifier
from mailweir.models.export.linear import Product
from mailweir.models.export.weights import Encoder, Floats
from mailweir.models.runtime.graph import Graph, Ids

Advance = Callable[[int], None]
"""Told how many mails were done since the last call."""


def features(encoder: Encoder, product: Product | None, mails: Sequence[Ids], padding: int, advance: Advance) -> Floats:
    """(mails, hidden): the vectors that the graph in the form of `product` (None: fp32) gives."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "encoder.onnx"
        write_classifier(path, encoder, (), product)
        graph = Graph(path, padding)
    found: dict[int, Floats] = {}
    for ran in graph.run(mails, [POOLED]):
        found.update(zip(ran.rows, ran.outputs[0], strict=True))
        advance(len(ran.rows))
    return np.stack([found[row] for row in range(len(mails))])
