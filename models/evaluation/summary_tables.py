"""The report's part about summaries and action items."""

from __future__ import annotations

from collections.abc import Iterator

from mailweir.models.evaluation.markup import Cell, Row, interval, table
from mailweir.models.evaluation.summaries import Compared, SummaryFigures
from mailweir.models.evaluation.tally import Average

__all__ = ["summary_section"]

_WAYS = ("summary by", "F1", "precision", "recall", "entities", "asks", "relevance", "factuality", "words")
_ITEMS = ("action items by", "F1", "precision", "recall")
_READING = (
    "F1, precision and recall: of the sentences that the annotator copied. Entities: share of the entities and numbers of the "
    "reference that the summary holds. Asks: share of the sentences that ask for something which are in it or among the action "
    "items. Relevance: words shared with the annotator's own summary (ROUGE-1 F1, stems of five letters). Factuality: share of "
    "its sentences and numbers that stand in the mail."
)


def summary_section(found: SummaryFigures) -> Iterator[str]:
    """Heading and tables, all rows first, then by language."""
    yield '<h2 id="summaries">summaries</h2>'
    yield f'<p class="quiet">{_READING}</p>'
    ways: list[Row] = []
    items: list[Row] = []
    for title, compared in {"all rows": found.all, **found.language}.items():
        heading = [f"{title}, {compared.rows}"]
        ways += [heading, *_ways(compared), _gain(compared)]
        items += [heading, _averages("bundle", compared.action_items), _averages("all questions", compared.questions)]
    yield table(_WAYS, ways)
    yield table(_ITEMS, items)


def _ways(compared: Compared) -> Iterator[Row]:
    for name, way in compared.summary.items():
        rest = (way.entities, way.asks, way.relevance, way.factuality)
        yield [*_averages(name, way.sentences), *map(interval, rest), Cell(f"{way.words.value:.0f}", "n")]


def _gain(compared: Compared) -> Row:
    return ["bundle above the first two", interval(compared.gain), *[""] * (len(_WAYS) - 2)]


def _averages(name: str, average: Average) -> Row:
    return [name, interval(average.f1), interval(average.precision), interval(average.recall)]
