"""What `mailweir dashboard` makes of Grafana's files, of a reader's choice and of Prometheus' answers."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from grafana import boards as generated
from hypothesis import given
from hypothesis import strategies as st

from mailweir.schemas.errors import InputError, SettingsError
from mailweir.services.cli.demo_dashboard import live_dashboard
from mailweir.services.dashboard import BOARDS, answers, find_library, library, read_boards
from mailweir.services.dashboard.asked import SPANS, Window, chosen, fill, window
from mailweir.services.dashboard.board import Query, parse

NOW = 1_795_317_323
FOUR = Window(0, 180, 60, 15)
"""Moments 0, 60, 120 and 180."""
SHIPPED = read_boards()


def series(metric: dict[str, str], *values: tuple[int, str]) -> dict[str, Any]:
    """As Prometheus answers."""
    return {"metric": metric, "values": [[moment, text] for moment, text in values]}


def test_the_page_has_every_dashboard_in_its_order() -> None:
    """That of the generator."""
    assert list(BOARDS) == [board.name for board in generated.BOARDS]
    assert [board.title for board in SHIPPED.values()] == [board.title for board in generated.BOARDS]


def test_every_query_can_be_filled_in() -> None:
    """No variable of any panel, choice or event is left over."""
    for board in SHIPPED.values():
        values = chosen(board, {}) | {"__rate_interval": "60s"}
        queries = [query.expression for panel in board.panels.values() for query in panel.queries]
        selectors = [choice.selector for choice in board.choices.values()]
        assert board.events
        assert [text for text in [*queries, *selectors, board.events.expression] if "$" in fill(text, values)] == []


def test_a_variable_of_another_kind_is_refused() -> None:
    """Grafana has more of them than the page knows: better no page than a wrong one."""
    source = next(iter(SHIPPED.values())).source.replace(b"label_values(", b"query_result(")
    with pytest.raises(ValueError, match="only knows label_values"):
        parse("overview", source)


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("scrape", [1, 15, 60, 900])
def test_a_window_holds_few_enough_moments_that_a_refresh_does_not_move(span: str, scrape: int) -> None:
    """Multiples of the step, at most some three hundred, the last before now; no more often than Prometheus looks."""
    found = window(span, NOW, scrape)
    assert {moment % found.step for moment in found.times} == {0}
    assert len(found.times) <= 301
    assert 0 <= NOW - found.end < found.step
    assert found.step >= scrape
    assert found.end - found.start == SPANS[span] // found.step * found.step
    assert set(window(span, NOW + 1, scrape).times) >= set(found.times[1:])


def test_a_rate_is_over_four_looks_or_a_step_and_one() -> None:
    """As Grafana has it: the longer of the two."""
    assert replace(FOUR, step=15, scrape=15).rate_interval == 60
    assert replace(FOUR, step=600, scrape=15).rate_interval == 615


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_value_that_was_chosen_matches_itself_only(value: str, other: str) -> None:
    """As a regular expression inside of a string of PromQL, whatever signs are in it."""
    board = SHIPPED["overview"]
    filled = fill("$environment", chosen(board, {"environment": value}))
    assert not re.search(r'(?<!\\)(?:\\\\)*"', filled)
    assert "\n" not in filled
    pattern = re.sub(r'\\([\\"n])', lambda found: "\n" if found[1] == "n" else found[1], filled)
    assert re.fullmatch(pattern, value, re.DOTALL)
    assert bool(re.fullmatch(pattern, other, re.DOTALL)) == (other == value or not value)


@pytest.mark.parametrize("text", ["free", "-1", "nan", "inf", "1) or vector(1"])
def test_a_price_that_is_none_is_refused(text: str) -> None:
    """It stands in the query as it is."""
    with pytest.raises(InputError, match="is no price"):
        chosen(SHIPPED["capacity"], {"core_hour": text})


def test_a_line_has_a_value_or_none_at_each_moment() -> None:
    """What was not recorded and what is no number are gaps; zero is a value."""
    line = series({"stage": "ingest"}, (0, "1.5"), (60, "NaN"), (180, "0"))
    found = answers.graph(FOUR, [Query("", "{{stage}} p50")], [[line]])
    assert found == {
        "times": [0, 60, 120, 180],
        "series": [{"name": "ingest p50", "values": [1.5, None, None, 0.0]}],
        "hidden": 0,
    }


def test_a_line_without_any_value_is_none() -> None:
    """Nothing divided by nothing all along is no data."""
    assert answers.graph(FOUR, [Query("", "")], [[series({}, (0, "NaN"), (60, "+Inf"))]])["series"] == []


def test_a_line_without_a_legend_is_named_by_its_labels() -> None:
    """And a label that it does not have leaves nothing behind."""
    [first] = answers.graph(FOUR, [Query("", "")], [[series({"a": "1", "b": "2"}, (0, "1"))]])["series"]
    [second] = answers.graph(FOUR, [Query("", "{{gone}} p50")], [[series({"a": "1"}, (0, "1"))]])["series"]
    assert (first["name"], second["name"]) == ("a 1, b 2", "p50")


def test_of_too_many_lines_the_highest_are_kept_and_the_others_counted() -> None:
    """The one that hangs is among those that are drawn."""
    lines = [series({"partition": str(number)}, (0, str(number))) for number in range(answers.SERIES + 5)]
    found = answers.graph(FOUR, [Query("", "{{partition}}")], [lines])
    assert found["hidden"] == 5
    assert {line["name"] for line in found["series"]} == {str(number) for number in range(5, answers.SERIES + 5)}


def test_lines_are_in_the_order_that_people_count_in() -> None:
    """Prometheus has partition 10 before partition 2."""
    lines = [series({"partition": text}, (0, "1")) for text in ("0", "1", "10", "2")]
    found = answers.graph(FOUR, [Query("", "ingest {{partition}}")], [lines])
    assert [line["name"] for line in found["series"]] == ["ingest 0", "ingest 1", "ingest 2", "ingest 10"]


def test_bands_have_what_is_in_them_alone() -> None:
    """Prometheus counts each bucket with all below it; the bounds are ordered as numbers."""
    matrix = [series({"le": "+Inf"}, (0, "6")), series({"le": "10.0"}, (0, "5")), series({"le": "5.0"}, (0, "2"))]
    found = answers.heat(FOUR, matrix)
    assert [(band["bound"], band["values"][0]) for band in found["bands"]] == [
        ("5.0", 2.0),
        ("10.0", 3.0),
        ("+Inf", 1.0),
    ]
    assert answers.heat(FOUR, [series({"le": "5.0"}, (0, "0"))])["bands"] == []


def test_a_table_has_a_column_for_each_label() -> None:
    """Also for one that only some rows have; the name of a metric is none."""
    matrix = [
        {"metric": {"__name__": "up", "stage": "ingest"}, "value": [0, "2"]},
        {"metric": {"code": "x"}, "value": [0, "NaN"]},
    ]
    assert answers.table([matrix]) == {"labels": ["code", "stage"], "rows": [["", "ingest", 2.0], ["x", "", None]]}


def test_an_event_is_where_values_begin() -> None:
    """Moments in a row are one event."""
    assert answers.events(60, [series({}, (60, "1"), (120, "1"), (300, "1"))]) == [60, 300]


async def test_a_demo_says_why_it_has_no_dashboard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without Prometheus, and without the package to draw with; it goes on."""
    said: list[str] = []
    monkeypatch.setitem(sys.modules, "youplot", None)
    async with live_dashboard([], tmp_path, said.append) as page:
        assert page == ""
    monkeypatch.setenv("PATH", str(tmp_path))
    async with live_dashboard([], tmp_path, said.append) as page:
        assert page == ""
    assert [text.rpartition(" install ")[2] for text in said] == ["'mailweir[dashboard]'", "prometheus)"]


def test_another_release_of_the_library_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What runs in the browser is what its makers published, and what the page was tried with."""
    assert b"uPlot (v1.6.31)" in find_library().script[:100]
    (tmp_path / "youplot" / "vendor").mkdir(parents=True)
    (tmp_path / "youplot" / "__init__.py").touch()
    (tmp_path / "youplot" / "vendor" / "uplot.iife.min.js").write_bytes(find_library().script + b" ")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError, match=r"is not of uPlot 1\.6\.31"):
        library.find_library()
