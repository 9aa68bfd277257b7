"""One mail with its reference, taken apart: sentences, asks, facts; and what a way to sum it up says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mailweir.models.evaluation.answers import Answer
from mailweir.models.runtime.policy import decide, summarize
from mailweir.models.runtime.sentences import quoted
from mailweir.models.text.newest import Sentence, newest_sentences
from mailweir.models.training.references import Reference, chosen_sentences, joined
from mailweir.schemas.manifest import Manifest

__all__ = ["Judged", "Said", "judged", "said_by_bundle", "said_by_lead"]

_STEM = 5  # letters: endings of Turkish and German words differ, their beginnings say the same (Can et al., 2008)
_EDGES = ".,;:!?()[]{}<>\"'“”„«»*|…-–—"


@dataclass(frozen=True, slots=True)
class Said:
    """What a way to sum up says of a mail."""

    places: frozenset[int]  # of its sentences
    text: str
    items: frozenset[int] = frozenset()  # places of action items


@dataclass(frozen=True, slots=True)
class Judged:
    """A mail whose reference is known."""

    language: str
    sentences: Sequence[Sentence]
    mail: str  # subject and body on one line
    reference: Reference
    right: frozenset[int]  # places of the sentences that sum up
    missed: int  # copied ones that no sentence of the newest text is: the subject, a line of quoted history
    right_items: frozenset[int]
    asks: int  # action items of the reference, such lines included
    facts: frozenset[str]  # entities and numbers of the reference
    summary: frozenset[int]  # places that the bundle chose
    items: frozenset[int]

    @property
    def questions(self) -> frozenset[int]:
        """Places of the sentences that end with a question mark."""
        return frozenset(place for place, one in enumerate(self.sentences) if one.text.endswith("?"))

    def facts_in(self, text: str) -> frozenset[str]:
        """The reference's facts that `text` holds."""
        return frozenset(fact for fact in self.facts if fact in text)

    def asks_in(self, said: Said) -> int:
        """How many sentences that ask are in the summary or among the action items."""
        return len(self.right_items & (said.places | said.items))

    def overlap(self, text: str) -> float:
        """ROUGE-1 F1 (Lin, 2004) of `text` and the annotator's summary."""
        one, other = _stems(text), _stems(self.reference.summary)
        return 2 * (one & other).total() / max(1, one.total() + other.total())

    def supported(self, said: Said) -> tuple[int, int]:
        """How many sentences and numbers of the summary stand in the mail, and how many there are."""
        claims = [*(self.sentences[place].text for place in said.places), *numbers(said.text)]
        return sum(claim in self.mail for claim in claims), len(claims)


def judged(manifest: Manifest, answer: Answer) -> Judged:
    """The answer to a row with a reference, taken apart."""
    example, reference = answer.example, answer.example.reference
    if reference is None:
        raise ValueError(f"row {example.id} has no reference")
    given = example.model_input()
    sentences = newest_sentences(given)
    right, missed = _copied(given.written, sentences, reference.summary_sentences)
    asked, unasked = _copied(given.written, sentences, reference.action_items)
    heads = decide(answer.scores, manifest, example.language).heads
    summary, items = (
        frozenset(sentences.index(one.sentence) for one in chosen)
        for chosen in summarize(answer.scores, manifest.sentences, heads)
    )
    written = joined(f"{example.subject}\n{example.body}")
    return Judged(
        example.language, sentences, written, reference, right, missed, asked, len(asked) + unasked,
        _facts(answer, reference), summary, items,
    )  # fmt: skip


def said_by_bundle(row: Judged) -> Said:
    """The bundle's summary and action items."""
    return Said(row.summary, _text(row, row.summary), row.items)


def said_by_lead(size: int) -> Callable[[Judged], Said]:
    """The first sentences of the newest text."""

    def said(row: Judged) -> Said:
        places = frozenset(range(min(size, len(row.sentences))))
        return Said(places, _text(row, places))

    return said


def numbers(text: str) -> frozenset[str]:
    """Words of `text` with a digit: codes, amounts, dates, times, addresses."""
    words = (word.strip(_EDGES) for word in text.split())
    return frozenset(word for word in words if any(map(str.isdigit, word)))


def _copied(text: str, sentences: Sequence[Sentence], quotes: Sequence[str]) -> tuple[frozenset[int], int]:
    """Places of the sentences that were copied, and how many quotes are none of them."""
    each = [np.flatnonzero(chosen_sentences(text, sentences, [quote])) for quote in quotes]
    return frozenset(int(place) for found in each for place in found), sum(not len(found) for found in each)


def _facts(answer: Answer, reference: Reference) -> frozenset[str]:
    """Entities of the row, and numbers of the mail, that the annotator's own summary or the copied sentences name."""
    told = joined(" ".join((reference.summary, *reference.summary_sentences)))
    marks = frozenset(joined(mark.text) for mark in answer.example.entities or () if joined(mark.text) in told)
    mail = numbers(f"{answer.example.subject} {answer.example.body}")
    loose = {number for number in numbers(reference.summary) & mail if not any(number in mark for mark in marks)}
    return marks | loose


def _text(row: Judged, places: frozenset[int]) -> str:
    return quoted(row.sentences[place].text for place in sorted(places))


def _stems(text: str) -> Counter[str]:
    words = (word.strip(_EDGES).lower() for word in text.split())
    return Counter(word[:_STEM] for word in words if word)
