"""Vectors of every token of many mails: in memory, or in a file where they would not fit."""

import errno
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mailweir.schemas.errors import InputError

Halves = NDArray[np.float16]

_BYTES = 2


class Shelf:
    """Per row (tokens, hidden) in half precision. The file has no name: whatever ends the process, its room is free again."""

    def __init__(self, lengths: Mapping[int, int], hidden: int, folder: Path | None = None) -> None:
        """`lengths` are tokens by row; `folder` is where the file is to be, None for memory.

        Raises:
            InputError: the disk of `folder` has too little room; its cause is an OSError that says so.
        """
        ends = np.cumsum(list(lengths.values()), dtype=np.int64)
        self._places = {
            row: (int(end) - size, int(end)) for (row, size), end in zip(lengths.items(), ends, strict=True)
        }
        shape = (int(ends[-1]) if len(ends) else 0, hidden)
        self._vectors: Halves = np.empty(shape, np.float16) if folder is None else _in_file(folder, shape)

    def put(self, row: int, vectors: Halves) -> None:
        """Keep (tokens, hidden) of a row."""
        start, end = self._places[row]
        self._vectors[start:end] = vectors

    def __getitem__(self, row: int) -> Halves:
        start, end = self._places[row]
        return self._vectors[start:end]


def shelf_bytes(lengths: Sequence[int], hidden: int) -> int:
    """How much a shelf of mails of so many tokens takes."""
    return sum(lengths) * hidden * _BYTES


def _in_file(folder: Path, shape: tuple[int, int]) -> Halves:
    folder.mkdir(parents=True, exist_ok=True)
    needed, free = shape[0] * shape[1] * _BYTES, shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{folder} has room for {free / 1e9:.1f} GB and training keeps {needed / 1e9:.1f}: name --checkpoints on "
            "another disk, or raise --set memory_gb",
            path=str(folder),
        ) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    if not needed:
        return np.empty(shape, np.float16)
    with tempfile.TemporaryFile(dir=folder) as file:
        return np.memmap(file, np.float16, "w+", shape=shape)
