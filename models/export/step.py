"""One step of the tiny recursive model as a graph; the loop over steps is the runtime's, so that a row that halts costs nothing more.

Inputs: ``y`` and ``z``, (batch, slots, width); ``states``, (batch, length, hidden), the encoder's token vectors; ``mask``, int64,
(batch, length). Outputs: ``next_y``, ``next_z``; one per head, named after it, (batch, labels): what the step adds to the plain
head's logits; ``halt``, (batch,): the probability that more steps gain nothing; ``first_y`` and ``first_z``, (slots, width): where
every mail begins. Weights are stored in half precision, which halves the file.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from mailweir.models.export.encoder import INPUTS
from mailweir.models.export.graph import GraphWriter
from mailweir.models.export.weights import Affine, Floats
from mailweir.models.runtime.refine import FIRST_Y, FIRST_Z, HALT, MASK, NEXT_Y, NEXT_Z, STATES, Y, Z
from mailweir.schemas.errors import InputError

_SHUT = 1e9  # taken from the score of a padded token: its share is exactly zero
_HEADS_KERNEL = "heads.kernel"  # whose product reads the token vectors in a classifier's graph


@dataclass(frozen=True, slots=True)
class StepLayer:
    """One layer of the shared net; kernels are (inputs, outputs)."""

    mix_up: Floats  # (slots, 4 * slots): gate and content side by side
    mix_down: Floats  # (2 * slots, slots)
    query: Floats  # (width, width)
    back: Floats  # (width, width)
    think_up: Floats  # (width, 4 * width)
    think_down: Floats  # (2 * width, width)


@dataclass(frozen=True, slots=True)
class StepWeights:
    """The numbers of a fitted net."""

    heads: dict[str, int]  # head -> labels, in the order of `answer`
    read: Affine  # (hidden, 2 * width): keys and values of the tokens
    layers: tuple[StepLayer, ...]
    answer: Affine  # (width, all labels): each label reads its head's slot
    halt: Affine  # (width + heads, 1)
    first_y: Floats  # (slots, width)
    first_z: Floats  # (slots, width)
    attention_heads: int
    latent: int  # calls on z per step
    epsilon: float


class StepGraph:
    """Writes the calls of one step."""

    def __init__(self, weights: StepWeights) -> None:
        self.graph = GraphWriter("mailweir-step")
        self._weights = weights
        self._width = weights.first_y.shape[1]
        self._part = self._width // weights.attention_heads
        g = self.graph
        for name in (Y, Z):
            g.input(name, "float", ["batch", *weights.first_y.shape])
        g.input(STATES, "float", ["batch", "length", weights.read.kernel.shape[0]])
        g.input(MASK, "int64", ["batch", "length"])

    def write(self) -> None:
        """Append one step and its outputs."""
        g, weights = self.graph, self._weights
        memory, y, z = self._memory(), Y, Z
        for _ in range(weights.latent):
            z = self._net(g.node("Add", y, z), memory)
        y = self._net(g.node("Add", y, z), None)
        slots, width = weights.first_y.shape
        for name, value in ((NEXT_Y, y), (NEXT_Z, z)):
            g.output(name, value, ["batch", slots, width])
        for name, first in ((FIRST_Y, weights.first_y), (FIRST_Z, weights.first_z)):
            g.output(name, self._kernel(name, first), [slots, width])
        self._answers(y)

    def _memory(self) -> tuple[str, str, str]:
        """Keys, (batch, attention heads, part, length), values, (..., length, part), and what shuts padding out."""
        g, read = self.graph, self._weights.read
        both = g.node("MatMul", STATES, self._kernel("read", read.kernel))
        both = g.node("Add", both, g.constant("read.bias", read.bias))
        keys, values = g.nodes("Split", both, outputs=2, axis=2, num_outputs=2)
        mask = g.node("Unsqueeze", g.node("Cast", MASK, to=1), g.integers(1, 2))  # (batch, 1, 1, length)
        shut = g.node("Mul", g.node("Sub", mask, g.number(1.0)), g.number(_SHUT))
        return self._heads(keys, [0, 2, 3, 1]), self._heads(values, [0, 2, 1, 3]), shut

    def _heads(self, value: str, order: list[int]) -> str:
        g = self.graph
        apart = g.node("Reshape", value, g.integers(0, -1, self._weights.attention_heads, self._part))
        return g.node("Transpose", apart, perm=order)

    def _net(self, slots: str, memory: tuple[str, str, str] | None) -> str:
        g = self.graph
        for index, layer in enumerate(self._weights.layers):
            name = f"layer{index}"
            turned = self._gated(
                g.node("Transpose", slots, perm=[0, 2, 1]), f"{name}.mix", layer.mix_up, layer.mix_down
            )
            slots = self._added(slots, g.node("Transpose", turned, perm=[0, 2, 1]))
            if memory:
                slots = self._added(slots, self._attend(slots, memory, layer, name))
            slots = self._added(slots, self._gated(slots, f"{name}.think", layer.think_up, layer.think_down))
        return slots

    def _gated(self, value: str, name: str, up: Floats, down: Floats) -> str:
        g = self.graph
        wide = g.node("MatMul", value, self._kernel(f"{name}.up", up))
        gate, content = g.nodes("Split", wide, outputs=2, axis=2, num_outputs=2)
        bent = g.node("Mul", g.node("Mul", gate, g.node("Sigmoid", gate)), content)
        return g.node("MatMul", bent, self._kernel(f"{name}.down", down))

    def _attend(self, slots: str, memory: tuple[str, str, str], layer: StepLayer, name: str) -> str:
        g, (keys, values, shut) = self.graph, memory
        query = self._heads(g.node("MatMul", slots, self._kernel(f"{name}.query", layer.query)), [0, 2, 1, 3])
        scores = g.node("Mul", g.node("MatMul", query, keys), g.number(self._part**-0.5))
        read = g.node("MatMul", g.node("Softmax", g.node("Add", scores, shut), axis=-1), values)
        together = g.node("Reshape", g.node("Transpose", read, perm=[0, 2, 1, 3]), g.integers(0, -1, self._width))
        return g.node("MatMul", together, self._kernel(f"{name}.back", layer.back))

    def _added(self, value: str, change: str) -> str:
        """Sum and root mean square norm over the width."""
        g = self.graph
        total = g.node("Add", value, change)
        square = g.node("ReduceMean", g.node("Mul", total, total), g.integers(2), keepdims=1)
        return g.node("Div", total, g.node("Sqrt", g.node("Add", square, g.number(self._weights.epsilon))))

    def _answers(self, y: str) -> None:
        g, weights = self.graph, self._weights
        sizes = list(weights.heads.values())
        owner = g.constant("owner", np.repeat(np.arange(len(sizes)), sizes))
        read = g.node("Mul", g.node("Gather", y, owner, axis=1), self._kernel("answer", weights.answer.kernel.T))
        logits = g.node(
            "Add", g.node("ReduceSum", read, g.integers(2), keepdims=0), g.constant("bias", weights.answer.bias)
        )
        certain = []
        parts = g.nodes("Split", logits, g.integers(*sizes), outputs=len(sizes), axis=1)
        for (name, labels), part in zip(weights.heads.items(), parts, strict=True):
            certain.append(g.node("ReduceMax", g.node("Softmax", part, axis=1), g.integers(1), keepdims=1))
            g.output(name, part, ["batch", labels])
        seen = g.node("Concat", g.node("ReduceMean", y, g.integers(1), keepdims=0), *certain, axis=1)
        asked = g.node("MatMul", seen, g.constant("halt.kernel", weights.halt.kernel))
        chance = g.node("Sigmoid", g.node("Add", asked, g.constant("halt.bias", weights.halt.bias)))
        g.output(HALT, g.node("Squeeze", chance, g.integers(1)), ["batch"])

    def _kernel(self, name: str, values: Floats) -> str:
        stored = self.graph.constant(f"{name}.kernel", np.asarray(values, np.float16))
        return self.graph.node("Cast", stored, to=1)


def write_step(path: Path, weights: StepWeights) -> None:
    """Write one step of the net to ``path``."""
    writer = StepGraph(weights)
    writer.write()
    writer.graph.save(path)


def expose_states(model: Path, out: Path) -> None:
    """Copy a classifier's graph to ``out`` with the token vectors that its heads read as one more output, ``states``.

    Who does not ask for the output does not pay for it.

    Raises:
        InputError: the graph has no heads over token vectors.
    """
    loaded = onnx.load(str(model))
    graph = loaded.graph
    read = [node.input[0] for node in graph.node if _HEADS_KERNEL in node.input]
    if not read:
        raise InputError(
            f"{model} is no graph of encoder and heads: name a bundle that mailweir train wrote", path=str(model)
        )
    if STATES not in {output.name for output in graph.output}:
        hidden = next(tensor.dims[0] for tensor in graph.initializer if tensor.name == _HEADS_KERNEL)
        width = onnx.numpy_helper.from_array(np.array([hidden], np.int64), "states/width")
        graph.initializer.append(width)
        graph.node.extend(
            [
                helper.make_node("Shape", [INPUTS[0]], ["states/shape"]),
                helper.make_node("Concat", ["states/shape", "states/width"], ["states/deep"], axis=0),
                helper.make_node("Reshape", [read[0], "states/deep"], [STATES]),
            ]
        )
        graph.output.append(helper.make_tensor_value_info(STATES, TensorProto.FLOAT, ["batch", "length", hidden]))
    onnx.save_model(loaded, str(out))


def halves(values: Floats) -> Floats:
    """What is left of numbers that are stored in half precision."""
    stored: NDArray[np.float16] = np.asarray(values, np.float16)
    return stored.astype(np.float32)
