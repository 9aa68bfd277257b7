"""Grafana's dashboards: the files are what the generator writes, Grafana's types take them, every series exists."""

from __future__ import annotations

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from alerting import series
from grafana.boards import BOARDS
from grafana.build import FOLDER, encode
from grafana.panels import GRID, Board
from grafana.runbooks import RUNBOOKS
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard
from house.source import ROOT

from mailweir.services.telemetry import Metrics

each_board = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
EXPRESSIONS = [query.expression for board in BOARDS for panel in board.panels for query in panel.queries]
TARGET = {"environment", "instance", "job"}
"""Labels that the scrape sets."""
SERIES = re.compile(r"\b((?:mailweir|process|python)_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
GROUPING = re.compile(r"\b(?:by|on|ignoring|group_left|group_right|without) \(([^)]*)\)")


def written(board: Board) -> dict[str, Any]:
    """The dashboard of the repository."""
    found: dict[str, Any] = json.loads((FOLDER / f"{board.name}.json").read_text(encoding="utf-8"))
    return found


def panels(board: Board) -> list[dict[str, Any]]:
    """What shows something, of the file: rows aside."""
    return [panel for panel in written(board)["panels"] if panel["type"] != "row"]


def exposed() -> dict[str, set[str]]:
    """Every series of a worker with its labels: ours, those of its process and of Python."""
    families = Metrics().registry.collect()
    return series() | {
        sample.name: set() for family in families for sample in family.samples if sample.name not in series()
    }


EXPOSED = exposed()


def faults(expression: str) -> list[str]:
    """What a query names and no worker exposes."""
    wrong = []
    known = {*TARGET}
    for name, chosen in SERIES.findall(expression):
        labels = EXPOSED.get(name)
        if labels is None:
            wrong.append(f"series {name}")
            continue
        known |= labels
        wrong += [f"label {label} of {name}" for label in MATCHER.findall(chosen) if label not in labels | TARGET]
    groups = [label.strip() for group in GROUPING.findall(expression) for label in group.split(",") if label.strip()]
    return wrong + [f"label {label}" for label in groups if label not in known]


@each_board
def test_the_file_is_what_the_generator_writes(board: Board) -> None:
    """Byte for byte: `make dashboards` after every change of a board."""
    assert (FOLDER / f"{board.name}.json").read_text(encoding="utf-8") == encode(board)


def test_there_is_no_other_file() -> None:
    """A dashboard without a board would never change again."""
    assert {path.name for path in FOLDER.iterdir()} == {f"{board.name}.json" for board in BOARDS}


@each_board
def test_grafanas_types_take_the_file_and_give_it_back(board: Board) -> None:
    """Read by the SDK's models and written again it is the same: no field is unknown to Grafana or lost on the way."""
    register_default_plugins()
    again = Dashboard.from_json(written(board))
    assert json.loads(json.dumps(again, cls=JSONEncoder)) == written(board)


@each_board
def test_every_panel_says_what_it_shows(board: Board) -> None:
    """Title, unit of Grafana's, a description in sentences, and a query; no title twice."""
    known = {value for name, value in vars(units).items() if name[0].isupper() and isinstance(value, str)}
    for panel in panels(board):
        assert panel["title"]
        assert panel["description"].endswith((".", "…"))
        assert panel["fieldConfig"]["defaults"]["unit"] in known
        assert panel["targets"]
    titles = [panel["title"] for panel in panels(board)]
    assert len(titles) == len(set(titles))


@each_board
def test_no_two_panels_overlap(board: Board) -> None:
    """On Grafana's grid, rows included; none hangs over its right edge."""
    places = [panel["gridPos"] for panel in written(board)["panels"]]
    assert [place for place in places if place["x"] + place["w"] > GRID] == []
    assert [
        (one, other)
        for one, other in combinations(places, 2)
        if one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    ] == []


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_query_names_what_workers_expose(expression: str) -> None:
    """Each series with each label of its matchers, and every label that is summed by."""
    assert SERIES.search(expression)
    assert faults(expression) == []


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("sum(mailweir_mails{stage='ingest'})", "series mailweir_mails"),
        ('rate(mailweir_mails_total{mailbox="a"}[5m])', "label mailbox of mailweir_mails_total"),
        ("sum by (le) (mailweir_mails_total)", "label le"),
        ("process_cpu_second_total", "series process_cpu_second_total"),
    ],
)
def test_a_misspelt_query_is_found(expression: str, fault: str) -> None:
    """What the test above would say."""
    assert faults(expression) == [fault]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_series_is_of_the_environment_chosen(expression: str) -> None:
    """Else a panel would add staging to production."""
    assert [name for name, chosen in SERIES.findall(expression) if 'environment=~"$environment"' not in chosen] == []


@each_board
def test_every_variable_of_a_query_is_on_its_dashboard(board: Board) -> None:
    """A variable that is not there reaches Prometheus as its bare name; one that nothing asks for is a button without effect."""
    there = {variable["name"] for variable in written(board)["templating"]["list"]}
    text = json.dumps(panels(board)) + json.dumps(written(board)["templating"])
    asked = set(re.findall(r"\$\{?([a-z]\w*)", text))
    assert asked - there == set()
    assert there - asked - {"runbooks"} == set()


def test_a_runbook_belongs_to_a_panel_and_is_a_page() -> None:
    """The table of links names panels and pages that exist; each alert's page is opened from one panel at least."""
    titles = {f"{board.name}: {panel.title}" for board in BOARDS for panel in board.panels}
    assert set(RUNBOOKS) - titles == set()
    assert {page.stem for page in (ROOT / "deploy/runbooks").glob("*.md")} == set(RUNBOOKS.values())
    linked = [panel["links"][0]["url"] for board in BOARDS for panel in panels(board) if panel.get("links")]
    assert sorted(linked) == sorted(f"${{runbooks}}/{page}.md" for page in RUNBOOKS.values())


def test_prometheus_parses_every_query(tmp_path: Path) -> None:
    """`promtool` reads them as recording rules, Grafana's own variables filled in."""
    filled = [re.sub(r"\$\{?\w+\}?", "1", text.replace("$__rate_interval", "1m")) for text in EXPRESSIONS]
    rules = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(filled)]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"SUCCESS: {len(rules)} rules found" in done.stdout


def test_what_provisioning_names_is_there() -> None:
    """One Prometheus as the default data source; the folder of dashboards may not be changed in the browser."""
    provisioning = ROOT / "deploy/grafana/provisioning"
    sources = yaml.safe_load((provisioning / "datasources/prometheus.yaml").read_text(encoding="utf-8"))
    [source] = sources["datasources"]
    assert (source["type"], source["isDefault"], source["editable"]) == ("prometheus", True, False)
    scraped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yaml").read_text(encoding="utf-8"))
    assert source["jsonData"]["timeInterval"] == scraped["global"]["scrape_interval"]  # Grafana's rate interval is four
    [provider] = yaml.safe_load((provisioning / "dashboards/mailweir.yaml").read_text(encoding="utf-8"))["providers"]
    assert (provider["type"], provider["allowUiUpdates"]) == ("file", False)
