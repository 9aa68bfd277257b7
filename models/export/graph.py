"""A small writer of ONNX graphs: constants by name, nodes by operator, no tracing and no exporter."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

MICROSOFT = "com.microsoft"  # ONNX Runtime's own operators
_OPSET = 18
_IR_VERSION = 10  # what onnxruntime 1.18 and later read

_TYPES = {"float": TensorProto.FLOAT, "int64": TensorProto.INT64, "int32": TensorProto.INT32}


class GraphWriter:
    """Collects nodes and constants; a name stands for one value only."""

    def __init__(self, name: str) -> None:
        """Start an empty graph called ``name``."""
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, kind: str, shape: Sequence[str | int]) -> str:
        """Declare an input; a string in ``shape`` is a free dimension."""
        self._inputs.append(helper.make_tensor_value_info(name, _TYPES[kind], shape))
        return name

    def output(self, name: str, value: str, shape: Sequence[str | int]) -> None:
        """Make ``value`` readable from outside as the float output ``name``."""
        self._nodes.append(helper.make_node("Identity", [value], [name], name=f"output/{name}"))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def constant(self, name: str, array: NDArray[np.generic] | np.generic) -> str:
        """Store ``array``; asking for a name again gives the first one."""
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(array).reshape(np.shape(array)), name)
        return name

    def integers(self, *values: int) -> str:
        """A constant vector of integers, for shapes and axes."""
        return self.constant("integers/" + "_".join(map(str, values)), np.array(values, np.int64))

    def number(self, value: float) -> str:
        """A constant scalar."""
        return self.constant(f"number/{value!r}", np.float32(value))

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: object) -> str:
        """Append a node with one output and give its name."""
        return self.nodes(operator, *inputs, outputs=1, domain=domain, **attributes)[0]

    def nodes(
        self, operator: str, *inputs: str, outputs: int, domain: str = "", **attributes: object
    ) -> tuple[str, ...]:
        """Append a node with several outputs."""
        label = f"{len(self._nodes)}/{operator}"
        names = tuple(f"{label}:{i}" for i in range(outputs))
        self._nodes.append(helper.make_node(operator, inputs, names, name=label, domain=domain, **attributes))
        return names

    def save(self, path: Path) -> None:
        """Write the model file; the same calls in the same order give the same bytes."""
        graph = helper.make_graph(self._nodes, self._name, self._inputs, self._outputs, list(self._constants.values()))
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(MICROSOFT, 1)],
            ir_version=_IR_VERSION,
            producer_name="mailweir",
        )
        onnx.save_model(model, str(path))
