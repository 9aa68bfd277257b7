"""An ONNX graph on the CPU: rows of tokens in, arrays out, alone or in sub-batches of similar length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import perf_counter

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Floats = NDArray[np.float32]

# Every mail alone, without padding: 65 mails/s on one core, and 65 in padded groups of 1,024 tokens (a mail of 128 tokens
# already fills the matrix units). Alone, a mail's scores are the same to the last bit whatever came with it; in padded groups
# every seventh differed by 2e-7. A budget pays where mails are very short (16 tokens: 770 mails/s instead of 570).
TOKEN_BUDGET = 1
_IDS, _MASK = "input_ids", "attention_mask"


@dataclass(frozen=True, slots=True)
class Ran:
    """One sub-batch: which rows it held, its outputs in the order asked for, how long it took."""

    rows: tuple[int, ...]
    outputs: tuple[Floats, ...]
    milliseconds: float


class Graph:
    """A loaded graph; `run` may be called from several threads at once."""

    def __init__(self, path: Path, padding: int, threads: int = 1) -> None:
        self._padding = padding
        self._session = onnxruntime.InferenceSession(
            str(path), session_options(threads), providers=["CPUExecutionProvider"]
        )
        # Nodes that no asked-for output needs are skipped.
        self._run_options = onnxruntime.RunOptions()
        self._run_options.only_execute_path_to_fetches = True

    @property
    def outputs(self) -> dict[str, tuple[object, ...]]:
        """Names and shapes of the outputs; free dimensions are strings."""
        return {output.name: tuple(output.shape) for output in self._session.get_outputs()}

    def run(self, rows: Sequence[Ids], outputs: Sequence[str], token_budget: int = TOKEN_BUDGET) -> Iterator[Ran]:
        """Run all rows, shortest first; every row is in exactly one `Ran`."""
        for batch in sub_batches([len(row) for row in rows], token_budget):
            ids, mask = pad([rows[i] for i in batch], self._padding)
            start = perf_counter()
            values = self._session.run(list(outputs), {_IDS: ids, _MASK: mask}, self._run_options)
            yield Ran(tuple(batch), tuple(values), (perf_counter() - start) * 1000)

    def table(self, rows: Sequence[Ids], output: str) -> Floats:
        """One output of all rows in input order, (rows, width)."""
        found: dict[int, Floats] = {}
        for ran in self.run(rows, [output]):
            found.update(zip(ran.rows, ran.outputs[0], strict=True))
        return np.stack([found[i] for i in range(len(rows))])


def sub_batches(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Row numbers grouped by length so that no group, padded, holds more than `token_budget` tokens.

    A row longer than the budget stands alone.
    """
    groups: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        padded = (len(groups[-1]) + 1) * lengths[row] if groups else token_budget + 1
        if padded > token_budget:
            groups.append([])
        groups[-1].append(row)
    return groups


def pad(rows: Sequence[Ids], padding: int) -> tuple[Ids, Ids]:
    """Ids and mask, both (rows, longest): mask is 1 where a token is."""
    width = max(len(row) for row in rows)
    ids = np.full((len(rows), width), padding, np.int64)
    mask = np.zeros((len(rows), width), np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
        mask[place, : len(row)] = 1
    return ids, mask


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """`threads` work on one run and sleep between runs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: they come back as exceptions anyway
    # Waiting threads sleep: a spinning one takes the core from the next worker.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if saturates():
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options


@cache
def saturates(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the fast integer kernels overflow here: x86-64 without VNNI instructions, where Linux says so.

    There one label in fifty changed, a probability by up to .18; the precise kernels give the answers of VNNI for a quarter more
    time. With VNNI they would take twice the time for nothing (tests/bench/parity_cpu.py).
    """
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return False
    flags = next((set(line.split(":", 1)[-1].split()) for line in lines if line.startswith("flags")), set())
    return "avx2" in flags and not flags & {"avx512_vnni", "avx_vnni"}
