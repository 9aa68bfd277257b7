"""From fp32 to the served int8 form: watch the activations on calibration mail, then fix their ranges."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mailweir.models.export.encoder import INPUTS, write_probes
from mailweir.models.export.linear import Activation, Int8
from mailweir.models.export.weights import Encoder
from mailweir.models.runtime.graph import session_options

# Only the output of GELU needs a range per token; a fixed one loses eight points of agreement with fp32.
_AFTER_GELU = ".down"


def observe(encoder: Encoder, mails: Iterable[NDArray[np.int64]]) -> dict[str, Activation]:
    """Lowest and highest value of every channel that feeds a matrix, over ``mails``, each (tokens,)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probes.onnx"
        names = write_probes(path, encoder)
        session = onnxruntime.InferenceSession(
            str(path), session_options(threads=1), providers=["CPUExecutionProvider"]
        )
    seen: dict[str, Activation] = {}
    for ids in mails:
        row = ids[None, :]
        values = session.run(list(names), {INPUTS[0]: row, INPUTS[1]: np.ones_like(row)})
        for name, value in zip(names, values, strict=True):
            seen[name] = _widen(seen.get(name), np.asarray(value))
    if not seen:
        msg = "quantization needs at least one calibration mail"
        raise ValueError(msg)
    return seen


def int8_form(encoder: Encoder, mails: Iterable[NDArray[np.int64]]) -> Int8:
    """The served form for ``encoder``, its ranges taken on ``mails``."""
    seen = observe(encoder, mails)
    return Int8(seen, frozenset(name for name in seen if name.endswith(_AFTER_GELU)))


def _widen(before: Activation | None, value: NDArray[np.float32]) -> Activation:
    lowest, highest = value.min(axis=0), value.max(axis=0)
    if before is None:
        return Activation(lowest, highest)
    return Activation(np.minimum(before.lowest, lowest), np.maximum(before.highest, highest))
