"""Does the served graph answer like the reference, and the same whatever stands beside a mail?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mailweir.models.export.weights import Floats
from mailweir.models.runtime.graph import Graph, Ids

Numbers = NDArray[np.float64]

Decided = Callable[[Floats], NDArray[np.bool_]]
"""From (mails, all labels side by side) logits to which labels are given."""

MIXED = 2048  # tokens: padded groups of very unequal mails


@dataclass(frozen=True, slots=True)
class Invariance:
    """How far a mail's logits move with its neighbours in the batch."""

    largest: float  # largest difference of a logit
    flips: int  # labels that came or went
    mails: int


def agreement(reference: Floats, served: Floats) -> float:
    """Share of rows whose highest logit is the same label."""
    return float((reference.argmax(axis=1) == served.argmax(axis=1)).mean())


def cell_agreement(reference: Numbers, served: Numbers, limits: Numbers) -> float:
    """Share of cells of a head of many, (rows, labels), that are on the same side of their label's limit."""
    return float(((reference >= limits) == (served >= limits)).mean())


def invariance(graph: Graph, mails: Sequence[Ids], heads: Sequence[str], decided: Decided) -> Invariance:
    """Every mail alone against mixed padded batches, in order, reversed and beside a far longer one."""
    alone = _logits(graph, mails, heads, budget=1)
    longest = max(mails, key=len)
    others = (
        _logits(graph, mails, heads, budget=MIXED),
        _logits(graph, mails[::-1], heads, budget=MIXED)[::-1],
        np.concatenate([_beside(graph, mail, longest, heads) for mail in mails]),
    )
    largest = max(float(np.abs(alone - other).max()) for other in others)
    flips = sum(int((decided(alone) != decided(other)).sum()) for other in others)
    return Invariance(largest, flips, len(mails))


def _logits(graph: Graph, mails: Sequence[Ids], heads: Sequence[str], budget: int) -> Floats:
    """(mails, all labels side by side) in input order."""
    found: dict[int, Floats] = {}
    for ran in graph.run(mails, heads, budget):
        found.update(zip(ran.rows, np.concatenate(ran.outputs, axis=1), strict=True))
    return np.stack([found[row] for row in range(len(mails))])


def _beside(graph: Graph, mail: Ids, longest: Ids, heads: Sequence[str]) -> Floats:
    return _logits(graph, [mail, longest], heads, budget=2 * len(longest))[:1]
