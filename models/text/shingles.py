"""Runs of three words as numbers: what tells that two texts are nearly the same."""

import re
import zlib
from collections.abc import Sequence

_WORD = re.compile(r"\w+")
_DIGITS = re.compile(r"\d+")
_RUN = 3  # words


def words_of(text: str) -> list[str]:
    """Words without case; every number is the same word, so that a text with other figures is recognised."""
    return _WORD.findall(_DIGITS.sub("0", text.casefold()))


def shingles(words: Sequence[str]) -> frozenset[int]:
    """32-bit hashes of all runs of three words; a shorter text is one run."""
    runs = range(max(len(words) - _RUN + 1, min(len(words), 1)))
    return frozenset(zlib.crc32(" ".join(words[start : start + _RUN]).encode()) for start in runs)
