"""The dashboards that the page shows: the files that Grafana reads, and what of them the server needs to know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

__all__ = ["BOARDS", "FOLDER", "Board", "Choice", "Panel", "Query", "parse", "read_boards"]

FOLDER = Path(__file__).parent / "boards"
BOARDS = ("overview", "stream", "model", "loop", "dead-letters", "capacity")
"""In the order of the links above the page."""

_LABEL_VALUES = re.compile(r"label_values\((?P<selector>.+), (?P<label>\w+)\)")


@dataclass(frozen=True, slots=True)
class Query:
    """One expression of a panel in PromQL, with Grafana's variables in it."""

    expression: str
    legend: str  # of each of its series, as Grafana writes it: `{{stage}} p50`


@dataclass(frozen=True, slots=True)
class Panel:
    """One question of a dashboard."""

    kind: str  # timeseries, stat, heatmap or table
    queries: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """A variable whose values are those of a label."""

    selector: str  # of the series that are looked at
    label: str


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard."""

    name: str
    title: str
    source: bytes  # the whole file, which the page lays itself out by
    panels: Mapping[int, Panel]  # by their number in the file
    choices: Mapping[str, Choice]
    texts: Mapping[str, str]  # variables that a person types in, and their defaults
    events: Query | None  # what the vertical lines of its graphs mark


def read_boards(folder: Path = FOLDER) -> dict[str, Board]:
    """Every dashboard that ships, by its name."""
    return {name: parse(name, (folder / f"{name}.json").read_bytes()) for name in BOARDS}


def parse(name: str, source: bytes) -> Board:
    """A dashboard out of Grafana's JSON."""
    found = orjson.loads(source)
    variables = {one["name"]: one for one in found["templating"]["list"]}
    events = found["annotations"]["list"]
    return Board(
        name=name,
        title=found["title"].removeprefix("mailweir: "),
        source=source,
        panels={one["id"]: _panel(one) for one in found["panels"] if one["type"] != "row"},
        choices={key: _choice(one["query"]["query"]) for key, one in variables.items() if one["type"] == "query"},
        texts={key: one["query"] for key, one in variables.items() if one["type"] == "textbox"},
        events=Query(events[0]["expr"], events[0]["name"]) if events else None,
    )


def _panel(found: Mapping[str, Any]) -> Panel:
    targets = found["targets"]
    return Panel(found["type"], tuple(Query(one["expr"], one.get("legendFormat", "")) for one in targets))


def _choice(query: str) -> Choice:
    matched = _LABEL_VALUES.fullmatch(query)
    if matched is None:
        raise ValueError(f"a variable asks {query!r}: the page only knows label_values(series, label)")
    return Choice(matched["selector"], matched["label"])
