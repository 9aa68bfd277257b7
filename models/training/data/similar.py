"""Texts that are nearly the same, by MinHash and locality-sensitive hashing (Broder 1997; Indyk and Motwani 1998).

The hashes only propose pairs; the similarity that is told is counted on the word triples themselves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mailweir.models.text.shingles import shingles, words_of

_BANDS, _DEEP = 64, 3  # a pair of similarity 0.5 is missed twice in 10,000 times, one of 0.1 is compared in 6 of 100
_SEED = 20  # of the hash functions: the same text has the same signature everywhere

Signatures = NDArray[np.uint32]  # (texts, bands * deep)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts by their places, the smaller first, and the Jaccard similarity of their word triples."""

    first: int
    second: int
    similarity: float


def similar_pairs(texts: Sequence[str], least: float = 0.5) -> list[Pair]:
    """Pairs with a similarity of `least` or more, the most similar first; texts without words are like nothing."""
    runs = [shingles(words_of(text)) for text in texts]
    kept = [place for place, found in enumerate(runs) if found]
    if not kept:
        return []
    pairs: list[Pair] = []
    for a, b in _candidates(_signatures([runs[place] for place in kept])):
        first, second = kept[a], kept[b]
        similarity = jaccard(runs[first], runs[second])
        if similarity >= least:
            pairs.append(Pair(first, second, similarity))
    return sorted(pairs, key=lambda pair: (-pair.similarity, pair.first, pair.second))


def jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    """Shared members by all members."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def _signatures(sets: Sequence[frozenset[int]]) -> Signatures:
    """The least value of each set under every hash function (multiply, add, shift); no set is empty."""
    sizes = [len(members) for members in sets]
    values = np.concatenate([np.fromiter(members, np.uint64, len(members)) for members in sets])
    starts = np.cumsum([0, *sizes[:-1]])
    draw = np.random.default_rng(_SEED)
    factors = draw.integers(0, 2**63, _BANDS * _DEEP, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    shifts = draw.integers(0, 2**64, _BANDS * _DEEP, dtype=np.uint64)
    table = np.empty((len(sets), _BANDS * _DEEP), np.uint32)
    for column, (factor, shift) in enumerate(zip(factors, shifts, strict=True)):
        table[:, column] = np.minimum.reduceat((values * factor + shift) >> np.uint64(32), starts)
    return table


def _candidates(signatures: Signatures) -> set[tuple[int, int]]:
    """Places that agree on a whole band."""
    found: set[tuple[int, int]] = set()
    for band in range(_BANDS):
        part = np.ascontiguousarray(signatures[:, band * _DEEP : (band + 1) * _DEEP])
        keys = part.view(np.dtype((np.void, part.dtype.itemsize * _DEEP))).ravel()
        for bucket in _buckets(keys):
            found.update(combinations(bucket, 2))
    return found


def _buckets(keys: NDArray[np.void]) -> Iterator[list[int]]:
    """Ascending places of every key that occurs more than once."""
    _, codes = np.unique(keys, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    edges = np.flatnonzero(np.diff(codes[order])) + 1
    for bucket in np.split(order, edges):
        if len(bucket) > 1:
            yield bucket.tolist()
