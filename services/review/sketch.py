"""A mail's text as a few numbers that tell whether another is nearly the same (bottom-k sketch; Broder 1997)."""

from __future__ import annotations

from heapq import nsmallest

from mailweir.models.text.shingles import shingles, words_of

__all__ = ["Sketch", "likeness", "sketch_of"]

Sketch = tuple[int, ...]

_SIZE = 32  # the Jaccard similarity that it estimates is within 0.09 two times of three


def sketch_of(text: str) -> Sketch:
    """The smallest hashes of the text's word triples, rising; empty of a text without words."""
    return tuple(nsmallest(_SIZE, shingles(words_of(text))))


def likeness(one: Sketch, other: Sketch) -> float:
    """Estimated share of word triples that two texts have in common; texts without words are like nothing."""
    if not one or not other:
        return 0.0
    least = nsmallest(_SIZE, {*one, *other})
    return len(set(least) & set(one) & set(other)) / len(least)
