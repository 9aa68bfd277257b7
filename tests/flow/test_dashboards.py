"""Every query of every dashboard, asked of a real Prometheus that holds what workers would have told it."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from grafana.boards import BOARDS

CHOSEN = {
    "environment": "production",
    "stage": ".*",
    "version": ".*",
    "head": ".*",
    "mailbox": ".*",
    "core_hour": "0.04",
    "__rate_interval": "4h",
}


def ask(prometheus: str, query: str, at: int) -> list[dict[str, Any]]:
    """The vector that a query gives; nothing over nothing is nothing."""
    filled = re.sub(r"\$\{?(\w+)\}?", lambda found: CHOSEN[found[1]], query)
    with urlopen(f"{prometheus}/api/v1/query?{urlencode({'query': filled, 'time': at})}") as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return [row for row in found if row["value"][1] != "NaN"]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_query_finds_something(prometheus: str, end: int, board: Any) -> None:
    """Where all series are there each panel has a value: matchers match, joins join, and nothing is divided by nothing."""
    answers = {
        panel.title: [ask(prometheus, query.expression, end) for query in panel.queries] for panel in board.panels
    }
    assert {title: found for title, found in answers.items() if not all(found)} == {}


def value(prometheus: str, end: int, board: str, title: str) -> float:
    """What a panel of one series shows."""
    [panel] = [panel for found in BOARDS if found.name == board for panel in found.panels if panel.title == title]
    [shown] = {row["value"][1] for row in ask(prometheus, panel.queries[0].expression, end)}  # the same of every stage
    return float(shown)


@pytest.mark.parametrize(
    ("board", "title", "shown"),
    [
        ("overview", "Workers seen", 1),
        ("overview", "Rejected", 1 / 3),  # one outcome of three, at the same rate
        ("overview", "Loss budget, slow", 2 / 4 / 0.0001),  # of four records one is gone, one failed
        ("model", "Accuracy, realised", 0.5),
        ("model", "Calibration is off by", 0.25),  # of every decision a probability of a quarter
        ("model", "Labels against a week ago", 0),
        ("capacity", "Mails by core second", 6),  # three a second on half a core
        ("capacity", "A million mails", 1e6 / 6 / 3600 * 0.04),
        ("dead-letters", "Dead letters of the last hour", 7200),  # one a second of each of two stages
    ],
)
def test_a_panel_shows_what_its_title_says(prometheus: str, end: int, board: str, title: str, shown: float) -> None:
    """Counted by hand from the series above."""
    assert value(prometheus, end, board, title) == pytest.approx(shown, abs=1e-9)
