"""Matrix products in the forms that a graph can hold: fp32, int8 with fixed ranges, int8 with one range per token.

All int8 forms give a mail the same answer whatever stands beside it in the batch: no range is taken over the batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mailweir.models.export.graph import MICROSOFT, GraphWriter
from mailweir.models.export.weights import Affine, Floats

_SMALLEST_SCALE = 1e-8  # keeps an all-zero channel from dividing by zero
_MIDDLE = 128  # zero point of the per-token form: activations there are centred
_INT8 = 127
_UINT8 = 255


class Product(Protocol):
    """Writes ``value @ kernel + bias``; ``activation`` names the value's statistics."""

    def write(self, graph: GraphWriter, value: str, affine: Affine, name: str, activation: str) -> str:
        """Append the nodes and give the result's name."""
        ...


@dataclass(frozen=True, slots=True)
class Fp32:
    """The reference: one Gemm."""

    def write(self, graph: GraphWriter, value: str, affine: Affine, name: str, activation: str) -> str:
        """Append one Gemm; ``activation`` is not needed."""
        del activation
        kernel, bias = graph.constant(f"{name}.kernel", affine.kernel), graph.constant(f"{name}.bias", affine.bias)
        return graph.node("Gemm", value, kernel, bias)


@dataclass(frozen=True, slots=True)
class Activation:
    """What was seen of one activation on calibration mail, channel by channel."""

    lowest: Floats  # (channels,)
    highest: Floats  # (channels,)

    def smoothing(self, kernel: Floats) -> Floats:
        """Divisor per channel that shares the difficulty between activation and kernel (SmoothQuant, Xiao et al. 2023).

        sqrt(max|x|) / sqrt(max|w|): outlying channels of the activation shrink, their rows of the kernel grow.
        """
        inputs = np.maximum(np.maximum(np.abs(self.lowest), np.abs(self.highest)), 1e-5)
        weights = np.maximum(np.abs(kernel).max(axis=1), 1e-5)
        return np.asarray(np.maximum(np.sqrt(inputs) / np.sqrt(weights), 1e-5), np.float32)


@dataclass(slots=True)
class Int8:
    """The served form: fixed ranges, but one range per token for the activations named in ``per_token``.

    A fixed range for the output of GELU is what breaks static int8 (agreement with fp32 falls from .98 to .90); one range
    per token for that one matrix in six costs a tenth of the speed.
    """

    activations: Mapping[str, Activation]
    per_token: frozenset[str]
    _written: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def write(self, graph: GraphWriter, value: str, affine: Affine, name: str, activation: str) -> str:
        """Append quantization of the value (once per value) and an integer product."""
        smoothing = self.activations[activation].smoothing(affine.kernel)
        kernel, scales = quantize_columns(affine.kernel * smoothing[:, None])
        weights = (graph.constant(f"{name}.kernel", kernel), graph.constant(f"{name}.scales", scales))
        zeros = graph.constant(f"{name}.zeros", np.zeros(len(scales), np.int8))
        bias = graph.constant(f"{name}.bias", affine.bias)
        smooth = graph.node("Mul", value, graph.constant(f"{activation}.smoothing", 1 / smoothing))
        if activation in self.per_token:
            return self._per_token(graph, smooth, weights, zeros, bias)
        whole, scale, zero = self._fixed(graph, smooth, activation, smoothing)
        return graph.node(
            "MatMulIntegerToFloat", whole, weights[0], scale, weights[1], zero, zeros, bias, domain=MICROSOFT
        )

    def _fixed(self, graph: GraphWriter, value: str, activation: str, smoothing: Floats) -> tuple[str, str, str]:
        seen = self.activations[activation]
        low = min(0.0, float((seen.lowest / smoothing).min()))
        high = max(0.0, float((seen.highest / smoothing).max()))
        step = max((high - low) / _UINT8, _SMALLEST_SCALE)
        scale = graph.constant(f"{activation}.scale", np.float32(step))
        zero = graph.constant(f"{activation}.zero", np.uint8(np.clip(round(-low / step), 0, _UINT8)))
        return graph.node("QuantizeLinear", value, scale, zero), scale, zero

    def _per_token(self, graph: GraphWriter, value: str, weights: tuple[str, str], zeros: str, bias: str) -> str:
        largest = graph.node("ReduceMax", graph.node("Abs", value), graph.integers(1), keepdims=1)  # (tokens, 1)
        scale = graph.node("Max", graph.node("Mul", largest, graph.number(1 / _INT8)), graph.number(_SMALLEST_SCALE))
        one, middle = graph.number(1.0), graph.constant("middle", np.uint8(_MIDDLE))
        whole = graph.node("QuantizeLinear", graph.node("Div", value, scale), one, middle)
        product = graph.node(
            "MatMulIntegerToFloat", whole, weights[0], one, weights[1], middle, zeros, domain=MICROSOFT
        )
        return graph.node("Add", graph.node("Mul", product, scale), bias)


def quantize_columns(kernel: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Symmetric int8 with one scale per output column."""
    scales = np.maximum(np.abs(kernel).max(axis=0), _SMALLEST_SCALE) / _INT8
    return np.clip(np.round(kernel / scales), -_INT8, _INT8).astype(np.int8), scales.astype(np.float32)


def quantize_rows(rows: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Symmetric int8 with one scale per row, for embedding tables."""
    scales = np.maximum(np.abs(rows).max(axis=1, keepdims=True), _SMALLEST_SCALE) / _INT8
    return np.round(rows / scales).astype(np.int8), scales.astype(np.float32)
