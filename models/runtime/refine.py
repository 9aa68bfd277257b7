"""Refinement: the loop of the tiny recursive model over an exported step, until each row halts or the steps are spent."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mailweir.models.runtime.graph import Floats, Ids, session_options

Y, Z, STATES, MASK = "y", "z", "states", "mask"
NEXT_Y, NEXT_Z, HALT = "next_y", "next_z", "halt"
FIRST_Y, FIRST_Z = "first_y", "first_z"


@dataclass(frozen=True, slots=True)
class Refined:
    """What the steps add to the plain heads."""

    logits: tuple[Floats, ...]  # per head (rows, labels), of the step at which the row halted
    steps: NDArray[np.int64]  # (rows,), at least 1
    milliseconds: float  # inside ONNX Runtime


class Refiner:
    """A loaded step; `refine` may be called from several threads at once."""

    def __init__(self, path: Path, heads: Sequence[str], *, steps: int, halt_at: float, threads: int = 1) -> None:
        """`heads` are the outputs that are asked for, a row halts where `halt` reaches `halt_at`, after `steps` at the latest."""
        self._session = onnxruntime.InferenceSession(
            str(path), session_options(threads), providers=["CPUExecutionProvider"]
        )
        self._run_options = onnxruntime.RunOptions()
        self._run_options.only_execute_path_to_fetches = True
        self.heads = tuple(heads)
        self._steps, self._halt_at = steps, halt_at
        self._first = self._beginning()

    @property
    def outputs(self) -> dict[str, tuple[object, ...]]:
        """Names and shapes of the outputs; free dimensions are strings."""
        return {output.name: tuple(output.shape) for output in self._session.get_outputs()}

    @property
    def hidden(self) -> int:
        """Width of the token vectors that it reads."""
        return int(self._inputs()[STATES][2])

    def refine(self, states: Floats, mask: Ids) -> Refined:
        """From (rows, length, hidden) token vectors; a row that halts keeps its answer and leaves the batch."""
        going = np.arange(len(states))
        y, z = (np.repeat(first[None], len(states), axis=0) for first in self._first)
        taken = np.zeros(len(states), np.int64)
        found: list[Floats] = []
        spent = 0.0
        for step in range(1, self._steps + 1):
            start = perf_counter()
            y, z, halt, *logits = self._step(y, z, states[going], mask[going])
            spent += perf_counter() - start
            found = found or [np.zeros((len(states), part.shape[1]), np.float32) for part in logits]
            for table, part in zip(found, logits, strict=True):
                table[going] = part
            taken[going] = step
            on = halt < self._halt_at
            if not on.any():
                break
            going, y, z = going[on], y[on], z[on]
        return Refined(tuple(found), taken, spent * 1000)

    def _step(self, y: Floats, z: Floats, states: Floats, mask: Ids) -> list[Floats]:
        given = {Y: y, Z: z, STATES: states, MASK: mask}
        values: list[Floats] = self._session.run([NEXT_Y, NEXT_Z, HALT, *self.heads], given, self._run_options)
        return values

    def _beginning(self) -> tuple[Floats, Floats]:
        """Where every mail begins: y and z before the first step, (slots, width)."""
        shapes = self._inputs()
        empty = [np.zeros((1, *shapes[name][1:]), np.float32) for name in (Y, Z)]
        states, mask = np.zeros((1, 1, shapes[STATES][2]), np.float32), np.ones((1, 1), np.int64)
        given = {Y: empty[0], Z: empty[1], STATES: states, MASK: mask}
        y, z = self._session.run([FIRST_Y, FIRST_Z], given, self._run_options)
        return y, z

    def _inputs(self) -> dict[str, list[int]]:
        return {given.name: given.shape for given in self._session.get_inputs()}
