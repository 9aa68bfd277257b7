"""Words and word pairs of a mail as numbers: what the cheap tier reads, the same in training and in serving.

A term is known by a 32-bit checksum of its bytes, so that no vocabulary has to be kept. Subject, sender and mailbox are
marked apart: "invoice" in a subject is another term than in the text.
"""

import re
import zlib
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mailweir.models.text.model_input import ModelInput

Keys = NDArray[np.uint32]
Counts = NDArray[np.float32]

_WORD = re.compile(r"\w+|[^\w\s]")
_SHORT_NUMBER = 2  # digits; of what is longer only the length is known
_LONGEST_NUMBER = 6
_MOST = 1_500  # words of a mail that are read: several times what the encoder sees


def term_counts(given: ModelInput) -> tuple[Keys, Counts]:
    """Distinct terms in rising order, and how often each stands in the mail."""
    keys, counts = np.unique(term_keys(given), return_counts=True)
    return keys, counts.astype(np.float32)


def term_keys(given: ModelInput) -> Keys:
    """(terms,) one number for each of `terms`, in the same order."""
    return np.fromiter((zlib.crc32(term.encode()) for term, _ in terms(given)), np.uint32)


def terms(given: ModelInput) -> Iterator[tuple[str, str]]:
    """Every word and every pair of neighbours, marked by the place where it stands, and as it is written."""
    left = _MOST
    for mark, text in _places(given):
        read = [(_shown(word), word) for word in _WORD.findall(text)[:left]]
        left -= len(read)
        yield from ((mark + word, written) for word, written in read)
        yield from ((f"{mark}{one} {other}", f"{a} {b}") for (one, a), (other, b) in pairwise(read))


def _shown(word: str) -> str:
    """In lower case; of long numbers only that they are some, and how long. A Turkish capital reads as its small letter."""
    lower = word.replace("\u0130", "i").lower()
    if lower.isalpha():
        return lower
    digits = sum(character.isdecimal() for character in lower)
    if digits <= _SHORT_NUMBER:
        return lower
    return f"{'a' if digits < len(lower) else ''}#{min(digits, _LONGEST_NUMBER)}"


def _places(given: ModelInput) -> Iterator[tuple[str, str]]:
    """Subject, then sender's domain and mailbox, then the text, each with its mark."""
    if not given.excerpts:
        yield "", given.text
        return
    subject, *body = given.excerpts
    ends = subject.at + subject.end - subject.start
    begins = body[0].at if body else len(given.whole)
    yield "s:", given.whole[subject.at : ends]
    yield "f:", given.whole[ends:begins]
    yield "", given.whole[begins:]
