"""The parts of the rows that a candidate has to hold one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mailweir.models.evaluation import Example

__all__ = ["ALL", "slices"]

ALL = "all rows"
KIND_OF_MAIL = "category"
"""The head whose annotated label says what kind of mail a row is, and so makes slices for every head."""


def slices(examples: Sequence[Example]) -> dict[str, NDArray[np.int64]]:
    """Row numbers by the name of the slice: language, source, length, kind of mail, and kind within a language."""
    found: dict[str, NDArray[np.int64]] = {}
    for name_of in (_language, _source, _length, _kind, _kind_in_language):
        names = np.array([name_of(example) or "" for example in examples])
        found |= {str(name): np.flatnonzero(names == name) for name in np.unique(names) if name}
    return found


def _language(example: Example) -> str:
    return f"language {example.language}"


def _source(example: Example) -> str:
    return f"source {example.source}"


def _length(example: Example) -> str:
    return f"length {example.length}"


def _kind(example: Example) -> str | None:
    label = example.labels.get(KIND_OF_MAIL)
    return f"{KIND_OF_MAIL} {label}" if isinstance(label, str) else None


def _kind_in_language(example: Example) -> str | None:
    kind = _kind(example)
    return f"{_language(example)}, {kind}" if kind else None
