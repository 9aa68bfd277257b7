"""The table of `mailweir train --compare`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console

from mailweir.services.cli.output import Column, Rows, console, emit

if TYPE_CHECKING:
    from mailweir.models.training.compare import Comparison, Entry
    from mailweir.models.training.recipe import Recipe
    from mailweir.models.training.sets import Options

__all__ = ["option_sets", "show_comparison"]


def option_sets(recipe: Recipe, written: Sequence[str]) -> list[Options]:
    """The recipe as it is, then each set; a wrong one is refused before anything long begins."""
    from mailweir.models.training import sets
    from mailweir.models.training.tuning import Tuning

    return sets.option_sets(recipe.tuning or Tuning(), written, recipe.layers)


def show_comparison(found: Comparison, *, as_json: bool) -> None:
    """Print the table, on a terminal as wide as that is."""
    if as_json:
        emit(asdict(found))
    else:
        _table(console(), found)


def _table(to: Console, found: Comparison) -> None:
    heads = list(found.entries[0].f1)
    rows = Rows(
        to,
        [
            Column("options", 20, grows=True),
            *(Column(_short(head), 4, right=True) for head in heads),
            Column("mean", 4, right=True),
            Column("less the recipe", 19, right=True),
            Column("min", 4, right=True),
        ],
    )
    for entry in found.entries:
        rows.add(
            {_short(head): _figure(value) for head, value in entry.f1.items()}
            | {"options": entry.options, "mean": _figure(entry.mean), "min": f"{entry.minutes:.0f}"}
            | {"less the recipe": _difference(entry)}
        )
    to.print(
        f"F1 of {', '.join(heads)} on {found.validated:,} mails of the validation authors after {found.epochs} epochs over "
        f"{found.rows:,} rows (one in {found.part}); in brackets the 95 % bootstrap interval over those mails. Another seed "
        "moves these figures as well: compare seed=8 to see by how much."
    )


def _short(head: str) -> str:
    return f"{head[:3]}."


def _figure(value: float, sign: str = "") -> str:
    """Three digits without the zero before them: eight columns are to stand beside each other."""
    return f"{value:{sign}.3f}".replace("0.", ".", 1)


def _difference(entry: Entry) -> str:
    if entry.difference is None:
        return ""
    value, low, high = (
        _figure(each, "+") for each in (entry.difference.value, entry.difference.low, entry.difference.high)
    )
    return f"{value} [{low} {high}]"
