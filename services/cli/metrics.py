"""`mailweir metrics`: what Prometheus gets from a worker."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from mailweir.services.cli.output import console, emit

__all__ = ["metrics"]

_UNITS = ("seconds", "bytes", "ratio")


def metrics(
    *, as_json: Annotated[bool, typer.Option("--json", help="One object a line, for scripts.")] = False
) -> None:
    """List every metric of a worker: name, kind, labels, unit and what it says.

    Beside these come those of the process (memory, processor time, files) and of Python.

    [bold]mailweir metrics --json | wc -l[/]

    Exit codes: 0 done.
    """
    rows = _rows()
    if as_json:
        for row in rows:
            emit(row)
    else:
        console().print(_table(rows))


def _rows() -> list[dict[str, object]]:
    from mailweir.services.telemetry import Metrics

    found: list[dict[str, object]] = []
    for metric in Metrics().declared():
        [family] = metric.describe()
        unit = next((unit for unit in _UNITS if family.name.endswith(f"_{unit}")), "")
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = list(metric._labelnames)  # noqa: SLF001 - it has no other way to ask
        found.append({"name": name, "kind": family.type, "labels": labels, "unit": unit, "help": family.documentation})
    return found


def _table(rows: list[dict[str, object]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("metric", no_wrap=True)
    for title in ("kind", "unit", "labels", "what it says"):
        table.add_column(title, style="dim")
    for row in rows:
        labels = row["labels"]
        assert isinstance(labels, list)  # noqa: S101 - narrows the type
        table.add_row(str(row["name"]), str(row["kind"]), str(row["unit"]), ", ".join(labels), str(row["help"]))
    return table
