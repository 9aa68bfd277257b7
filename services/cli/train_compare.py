"""The table of `mailweir train --compare`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console

from mailweir.services.cli.output import Column, Rows, console, emit

if TYPE_CHECKING:
    from mailweir.models.training.compare import Comparison, Entry
    from mailweir.models.training.corpus import MailRow
    from mailweir.models.training.recipe import Recipe
    from mailweir.models.training.sets import Options
    from mailweir.models.training.train import Given

__all__ = ["option_sets", "run_comparison", "show_comparison"]

_NAMES = {"workflow_state": "state", "next_actions": "next"}


def option_sets(recipe: Recipe, written: Sequence[str]) -> list[Options]:
    """The recipe as it is, then each set; a wrong one is refused before anything long begins."""
    from mailweir.models.training import sets
    from mailweir.models.training.tuning import Tuning

    return sets.option_sets(recipe.tuning or Tuning(), written, recipe.layers)


def run_comparison(
    recipe: Recipe, data: tuple[list[MailRow], Given], asked: tuple[list[Options], int, int], *, as_json: bool
) -> None:
    """Try the sets and print the table; `asked` are the sets, the part of the rows, and epochs."""
    from mailweir.models.training.compare import Effort, compare

    show_comparison(compare(data[0], recipe, data[1], asked[0], Effort(*asked[1:])), as_json=as_json)


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
            Column("options", 19, grows=True),
            *(Column(_NAMES.get(head, head), 8, rank=1, right=True) for head in heads),
            Column("mean", 5, right=True),
            Column("less the recipe", 20, right=True),
            Column("minutes", 7, rank=2, right=True),
        ],
    )
    for entry in found.entries:
        rows.add(
            {_NAMES.get(head, head): f"{value:.3f}" for head, value in entry.f1.items()}
            | {"options": entry.options, "mean": f"{entry.mean:.3f}", "minutes": f"{entry.minutes:.1f}"}
            | {"less the recipe": _difference(entry)}
        )
    to.print(
        f"F1 on {found.validated:,} mails of the validation authors after {found.epochs} epochs over {found.rows:,} rows "
        f"(one in {found.part}); in brackets the 95 % bootstrap interval over those mails. Another seed moves these figures as "
        "well: compare seed=8 to see by how much."
    )


def _difference(entry: Entry) -> str:
    if entry.difference is None:
        return ""
    return f"{entry.difference.value:+.3f} [{entry.difference.low:+.3f} {entry.difference.high:+.3f}]"
