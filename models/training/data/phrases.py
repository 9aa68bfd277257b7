"""Runs of words that come back in several mails: set phrases, disclaimers, an author's habits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from mailweir.models.text.shingles import words_of
from mailweir.models.training.data.rows import Item

WORDS = 8
"""Words that a phrase has at least."""

_LEAST_DIFFERENT = 4  # a table's figures and dashes are no phrase

Holders = dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that several texts share, as long as the same texts share them."""

    text: str
    ids: tuple[str, ...]
    authors: tuple[str, ...]


def shared_phrases(items: Sequence[Item]) -> list[Phrase]:
    """Phrases of two texts or more: those of most authors first, then those of most texts, then the longest."""
    words = [words_of(item.text) for item in items]
    holders: Holders = {}
    for place, found in enumerate(words):
        for gram in set(_grams(found)):
            holders.setdefault(gram, []).append(place)
    phrases = {
        (text, places): Phrase(
            text, tuple(items[p].id for p in places), tuple(sorted({items[p].author for p in places}))
        )
        for place, found in enumerate(words)
        for text, places in _runs(place, found, holders)
    }
    return sorted(phrases.values(), key=lambda p: (-len(p.authors), -len(p.ids), -len(p.text), p.text))


def _grams(words: Sequence[str]) -> list[str]:
    return [" ".join(words[start : start + WORDS]) for start in range(len(words) - WORDS + 1)]


def _runs(place: int, words: Sequence[str], holders: Holders) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Neighbouring grams that the same texts hold, told once, by the first of these texts."""
    grams = [(start, tuple(holders[gram])) for start, gram in enumerate(_grams(words))]
    for places, run in groupby(grams, key=lambda gram: gram[1]):
        starts = [start for start, _ in run]
        phrase = words[starts[0] : starts[-1] + WORDS]
        if len(places) > 1 and places[0] == place and len(set(phrase) - {"0"}) >= _LEAST_DIFFERENT:
            yield " ".join(phrase), places
