"""Summaries and action items of an evaluation, on 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from mailweir.services.cli.output import Column, Rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailweir.models.evaluation.summaries import Compared, SummaryFigures
    from mailweir.models.evaluation.tally import Estimate

    Write = Callable[[Estimate], str]

__all__ = ["show_summaries"]

_NOTE = (
    "F1 of the sentences that the annotator copied; of the reference's entities and asks, the share that is\n"
    "there; relevant: words shared with the annotator's own summary; factual: found in the mail"
)


def show_summaries(to: Console, found: SummaryFigures, interval: Write, short: Write) -> None:
    """Print the bundle beside leading sentences, then action items; `interval` and `short` write figures."""
    columns = (
        Column("summary by", 15),
        Column("rows", 5, right=True),
        Column("F1", 16, right=True),
        *(Column(title, len(title), right=True) for title in ("entities", "asks", "relevant", "factual")),
    )
    to.print()
    rows = Rows(to, columns)
    for name, way in found.all.summary.items():
        cells = {"summary by": name, "rows": str(found.all.rows), "F1": interval(way.sentences.f1)}
        rest = {"entities": way.entities, "asks": way.asks, "relevant": way.relevance, "factual": way.factuality}
        rows.add(cells | {title: short(estimate) for title, estimate in rest.items()})
    to.print(f"bundle above the first two: {interval(found.all.gain)}")
    to.print(f"action items: F1 {_items(found.all, interval)}")
    for code, compared in found.language.items():
        summary = interval(compared.summary["bundle"].sentences.f1)
        to.print(f"{code}: summary {summary}, action items {_items(compared, interval)}")
    to.print(_NOTE, style="dim")


def _items(compared: Compared, interval: Write) -> str:
    return f"{interval(compared.action_items.f1)}, all questions {interval(compared.questions.f1)}"
