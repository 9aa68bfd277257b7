"""The sentences of a mail that can sum it up: its newest text and what it passes on, without greetings and closings."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice

import numpy as np

from mailweir.models.text import marks
from mailweir.models.text.model_input import Excerpt, ModelInput
from mailweir.models.text.sentences import split_sentences, word_lists

_GREETING_WORDS = 7  # of a line; a longer one says something
_BULLET = re.compile(r"[-*•·–—>▪▸►‣◦➤✓]{1,3} ")  # of a list; numbers stay, they are referred to
_MOST = 500  # sentences of a part; the model reads fewer of any mail that somebody wrote
_LETTERS = 2
_LONGEST = 1_000  # characters; what is longer is a blob or a list without an end, and sums nothing up
_EDGES = " \t\n,.!:;…–—-"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence and where it stands in the text that the model is given."""

    start: int  # in `ModelInput.text`
    end: int
    text: str  # on one line

    @property
    def log_words(self) -> float:
        """Natural logarithm of the number of its words."""
        return math.log(len(self.text.split()))


def newest_sentences(given: ModelInput) -> tuple[Sentence, ...]:
    """In order of appearance, what was passed on last; none for a mail that only quotes."""
    return tuple(sentence for piece in given.excerpts for sentence in _of_piece(given, piece))


def _of_piece(given: ModelInput, piece: Excerpt) -> Iterator[Sentence]:
    if piece.kind not in {"new", "forwarded"}:
        return
    written = given.whole[piece.at : piece.at + piece.end - piece.start]
    for bounds in islice(split_sentences(written), _MOST):
        start, end = map(int, np.searchsorted(given.origins, [piece.at + bounds.start, piece.at + bounds.end]))
        bullet = _BULLET.match(given.written, start, end)
        start = bullet.end() if bullet else start
        text = given.written[start:end]
        if _says_something(text) and not (piece.kind == "forwarded" and _is_header(text)):
            yield Sentence(start, end, text)


def _says_something(text: str) -> bool:
    if len(text) > _LONGEST or sum(map(str.isalpha, text)) < _LETTERS:
        return False
    return not marks.CLOSING.match(text) and not is_greeting(text)


def _is_header(text: str) -> bool:
    """A line of what a mail program puts before a mail that is passed on."""
    return any(mark.match(text) for mark in (*marks.HEADER_LABELS.values(), marks.FORWARD, marks.END_OF_FORWARD))


def is_greeting(text: str) -> bool:
    """Whether the sentence only addresses somebody: "Hi Tom,", "Ayşe Hanım merhaba", "Sehr geehrte Frau Weber,"."""
    words = text.strip(_EDGES).lower().split()
    if not 0 < len(words) <= _GREETING_WORDS or "?" in text or any(map(str.isdigit, text)):
        return False
    first, last = _greetings()
    starts = any(" ".join(words[:size]).strip(_EDGES) in first for size in (1, 2)) and (
        len(words) < 3 or text[-1] in ",!:–—-…"
    )
    return starts or words[-1] in last or (words[-1] in first and text[-1] in ",!.")


@cache
def _greetings() -> tuple[frozenset[str], frozenset[str]]:
    lists = word_lists()["greetings"]
    return frozenset(lists["first"]), frozenset(lists["last"])
