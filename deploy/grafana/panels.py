"""What a dashboard is made of here: queries, panels, rows. Nothing in this file knows Grafana."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["GRID", "Board", "Field", "Kind", "Panel", "Query", "Row", "ratio"]

GRID = 24
"""Columns of Grafana's grid."""

Kind = Literal["graph", "number", "heat", "list"]
Field = Literal["version", "head", "mailbox", "stage", "core_hour"]
"""A variable that only some dashboards have; data source, environment and runbooks are on each."""


@dataclass(frozen=True)
class Query:
    """A query in PromQL; `$S` stands for the label matcher that every series is chosen by: its environment."""

    text: str
    legend: str = ""

    @property
    def expression(self) -> str:
        """As Grafana gets it."""
        return self.text.replace("$S", 'environment=~"$environment"')


@dataclass(frozen=True)
class Panel:
    """One question and its answer."""

    title: str
    unit: str  # a unit of Grafana's: s, short, percentunit, bytes, currencyUSD, …
    description: str  # what is seen, and what would be wrong
    queries: tuple[Query, ...]
    kind: Kind = "graph"
    width: int = 8
    height: int = 8
    red_from: float | None = None  # the value from which on it is bad


@dataclass(frozen=True)
class Row:
    """Panels under one heading, left to right; their widths fill lines of the grid exactly."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Board:
    """One dashboard; its name is its file, and with `mailweir-` before it its address in Grafana."""

    name: str
    title: str
    description: str
    rows: tuple[Row, ...]
    fields: tuple[Field, ...] = ()
    since: str = "now-6h"

    @property
    def panels(self) -> tuple[Panel, ...]:
        """Of all rows."""
        return tuple(panel for row in self.rows for panel in row.panels)


def ratio(part: str, whole: str) -> str:
    """`part` of `whole`; no value where the whole stands still, since nothing of nothing is no ratio."""
    return f"{part} / ({whole} > 0)"
