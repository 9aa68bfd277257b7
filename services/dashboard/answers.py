"""From Prometheus' answers to what the page draws; pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mailweir.services.dashboard.asked import Window
from mailweir.services.dashboard.board import Query

__all__ = ["SERIES", "Matrix", "events", "graph", "heat", "table"]

SERIES = 60
"""Lines of a graph: nobody tells more of them apart, and a browser draws them in time."""

Matrix = list[dict[str, Any]]
"""`result` of Prometheus' `query_range` or `query`."""
_NUMBER = re.compile(r"([0-9]+)")
_LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def graph(window: Window, queries: Sequence[Query], answers: Sequence[Matrix]) -> dict[str, Any]:
    """Lines over the moments of the window: a value or None each; the lowest are left out where there are too many."""
    found = [
        {"name": _name(query.legend, series["metric"]), "values": _values(window, series)}
        for query, matrix in zip(queries, answers, strict=True)
        for series in sorted(matrix, key=lambda one: _order(query.legend, one["metric"]))
    ]
    lines = [line for line in found if any(value is not None for value in line["values"])]
    kept = sorted(lines, key=_highest, reverse=True)[:SERIES] if len(lines) > SERIES else lines
    return {"times": list(window.times), "series": kept, "hidden": len(lines) - len(kept)}


def heat(window: Window, matrix: Matrix) -> dict[str, Any]:
    """Bands over the moments of the window, lowest first: what each bucket has beyond the one below it."""
    bounds = sorted(matrix, key=lambda series: float(series["metric"]["le"]))
    rows = [_values(window, series) for series in bounds]
    below: list[list[float | None]] = [[0.0] * len(window.times), *rows]
    bands = [
        {"bound": series["metric"]["le"], "values": [_beyond(*pair) for pair in zip(row, under, strict=True)]}
        for series, row, under in zip(bounds, rows, below, strict=False)
    ]
    some = any(value for band in bands for value in band["values"] or ())
    return {"times": list(window.times), "bands": bands if some else []}


def table(matrices: Iterable[Matrix]) -> dict[str, Any]:
    """A column for each label and one for the value."""
    rows = [(series["metric"], _number(series["value"][1])) for matrix in matrices for series in matrix]
    labels = sorted({label for metric, _ in rows for label in metric if label != "__name__"})
    cells = [[metric.get(label, "") for label in labels] for metric, _ in rows]
    return {"labels": labels, "rows": [[*cell, value] for cell, (_, value) in zip(cells, rows, strict=True)]}


def events(step: int, matrix: Matrix) -> list[int]:
    """When something began: the first of moments that follow each other without a gap."""
    moments = sorted({int(time) for series in matrix for time, _ in series["values"]})
    return [moment for moment in moments if moment - step not in set(moments)]


def _name(legend: str, metric: Mapping[str, str]) -> str:
    if legend:
        return _LABEL.sub(lambda found: metric.get(found[1], ""), legend).strip()
    return ", ".join(f"{label} {value}" for label, value in metric.items())


def _order(legend: str, metric: Mapping[str, str]) -> list[str | int]:
    """Partition 2 before partition 10: words and numbers by turns."""
    return [int(part) if part.isdigit() else part for part in _NUMBER.split(_name(legend, metric))]


def _values(window: Window, series: Mapping[str, Any]) -> list[float | None]:
    at = {int(time): _number(value) for time, value in series["values"]}
    return [at.get(moment) for moment in window.times]


def _number(text: str) -> float | None:
    """None for NaN and infinities: nothing over nothing is no value."""
    value = float(text)
    return value if math.isfinite(value) else None


def _highest(line: Mapping[str, Any]) -> float:
    highest: float = max(value for value in line["values"] if value is not None)
    return highest


def _beyond(value: float | None, under: float | None) -> float | None:
    """A bucket's own share; buckets are read one after another, so that a lower one may be ahead."""
    return None if value is None else max(value - (under or 0.0), 0.0)
