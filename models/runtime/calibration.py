"""From logits to probabilities that mean what they say."""

import numpy as np
from numpy.typing import NDArray

from mailweir.models.runtime.graph import Floats
from mailweir.schemas.manifest import HeadSpec

Probabilities = NDArray[np.float64]


def calibrate(logits: Floats, head: HeadSpec) -> Probabilities:
    """(rows, labels) logits to probabilities: temperature, then softmax over one label or a sigmoid for each of many."""
    scaled = logits.astype(np.float64) / head.temperature
    if head.kind == "many":
        return np.asarray(1 / (1 + np.exp(-scaled)))
    raised = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
