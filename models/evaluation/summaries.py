"""Summaries and action items against those that annotators copied: is the right thing said, all of it, and nothing else.

Beside the bundle stand leading sentences, which in news are hard to beat (Nenkova, 2005), and for action items all questions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mailweir.models.evaluation.answers import Answer
from mailweir.models.evaluation.pieces import Judged, Said, judged, said_by_bundle, said_by_lead
from mailweir.models.evaluation.ratios import Ratio, gain
from mailweir.models.evaluation.tally import Average, Estimate
from mailweir.schemas.manifest import Manifest

__all__ = ["Compared", "SummaryFigures", "Way", "measure_summaries"]

BUNDLE = "bundle"
LEADS = {"first sentence": 1, "first two": 2}
_RIVAL = "first two"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to sum a mail up."""

    sentences: Average  # of the sentences that the annotator copied
    entities: Estimate  # share of the reference's entities and numbers that the summary holds
    asks: Estimate  # share of the sentences that ask which are in the summary or among the action items
    relevance: Estimate  # words shared with the annotator's own summary (ROUGE-1 F1, Lin 2004), stems of five letters
    factuality: Estimate  # share of the summary's sentences and numbers that stand in the mail
    words: Estimate  # of a summary, mean


@dataclass(frozen=True, slots=True)
class Compared:
    """Figures over some rows."""

    rows: int
    summary: Mapping[str, Way]  # the bundle, the first sentence, the first two
    gain: Estimate  # F1 of the bundle's sentences above that of the first two
    action_items: Average
    questions: Average  # as action items, all sentences that end with a question mark


@dataclass(frozen=True, slots=True)
class SummaryFigures:
    """Of the rows with a reference."""

    all: Compared
    language: Mapping[str, Compared]


def measure_summaries(manifest: Manifest, answers: Sequence[Answer]) -> SummaryFigures | None:
    """Figures of the answers whose row has a reference; None if there is none, or the bundle makes no summaries."""
    if manifest.sentences is None:
        return None
    rows = [judged(manifest, answer) for answer in answers if answer.example.reference]
    if not rows:
        return None
    languages = sorted({row.language for row in rows})
    return SummaryFigures(
        _compare(rows), {code: _compare([row for row in rows if row.language == code]) for code in languages}
    )


def _compare(rows: Sequence[Judged]) -> Compared:
    ways: dict[str, Callable[[Judged], Said]] = {BUNDLE: said_by_bundle}
    ways |= {name: said_by_lead(size) for name, size in LEADS.items()}
    said = {name: [way(row) for row in rows] for name, way in ways.items()}
    f1 = {name: _f1(each, rows) for name, each in said.items()}
    return Compared(
        len(rows),
        {name: _way(each, rows) for name, each in said.items()},
        gain(f1[BUNDLE], f1[_RIVAL]),
        _average(*_item_counts(rows, [row.items for row in rows])),
        _average(*_item_counts(rows, [row.questions for row in rows])),
    )


def _way(said: Sequence[Said], rows: Sequence[Judged]) -> Way:
    each = list(zip(said, rows, strict=True))
    return Way(
        sentences=_average(*_sentence_counts(said, rows)),
        entities=_ratio([(len(row.facts_in(one.text)), len(row.facts)) for one, row in each]),
        asks=_ratio([(row.asks_in(one), row.asks) for one, row in each]),
        relevance=_ratio([(row.overlap(one.text), 1) for one, row in each]),
        factuality=_ratio([row.supported(one) for one, row in each]),
        words=_ratio([(len(one.text.split()), 1) for one in said]),
    )


def _sentence_counts(said: Sequence[Said], rows: Sequence[Judged]) -> tuple[list[int], list[int], list[int]]:
    hits = [len(one.places & row.right) for one, row in zip(said, rows, strict=True)]
    return hits, [len(row.right) + row.missed for row in rows], [len(one.places) for one in said]


def _item_counts(rows: Sequence[Judged], given: Sequence[frozenset[int]]) -> tuple[list[int], list[int], list[int]]:
    hits = [len(one & row.right_items) for one, row in zip(given, rows, strict=True)]
    return hits, [row.asks for row in rows], [len(one) for one in given]


def _f1(said: Sequence[Said], rows: Sequence[Judged]) -> Ratio:
    hits, right, given = map(np.array, _sentence_counts(said, rows))
    return Ratio(2.0 * hits, (right + given).astype(float))


def _average(hits: Sequence[int], right: Sequence[int], given: Sequence[int]) -> Average:
    pairs = zip(hits, right, given, strict=True)
    return Average(
        _ratio(list(zip(hits, given, strict=True))),
        _ratio(list(zip(hits, right, strict=True))),
        _ratio([(2 * h, r + g) for h, r, g in pairs]),
    )


def _ratio(pairs: Sequence[tuple[float, float]]) -> Estimate:
    above, below = np.array(pairs, float).T
    return Ratio(above, below).estimate()
