"""Every query of every dashboard, asked of a real Prometheus that holds what workers would have told it."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from grafana.boards import BOARDS
from prometheus_client import Counter, Histogram

from mailweir.services.broker.ports import draw
from mailweir.services.telemetry import Metrics

STEP_S = 900
SPAN_S = 8 * 24 * 3_600  # a week ago is compared with, over a day
WORKER = 'environment="production",job="mailweir",instance="a"'
VALUES = {
    "stage": ("ingest", "classify"),
    "outcome": ("published", "rejected", "refused"),
    "verdict": ("right", "wrong"),
    "sample": ("lot", "given"),
    "needs_review": ("true", "false"),
    "step": ("handle", "model"),
    "code": ("unexpected",),
    "head": ("category",),
    "label": ("invoice", "request"),
}
"""Labels of which a query chooses or compares values; any other has one."""
OWN = {
    "process_cpu_seconds_total": 0.5,
    "process_resident_memory_bytes": 0,
    "process_open_fds": 0,
    "process_max_fds": 0,
}
"""What every process exposes, and its growth by second."""
CHOSEN = {
    "environment": "production",
    "stage": ".*",
    "version": ".*",
    "head": ".*",
    "mailbox": ".*",
    "core_hour": "0.04",
    "__rate_interval": "4h",
}


def series() -> Iterator[tuple[str, float]]:
    """Every series of a worker and its growth by second; one that does not grow is 1."""
    yield from ((f"{name}{{{WORKER}}}", growth) for name, growth in OWN.items())
    for metric in {*Metrics().registry._names_to_collectors.values()}:
        names: tuple[str, ...] = metric._labelnames
        for values in product(*(VALUES.get(name, ("one",)) for name in names)):
            labels = ",".join([WORKER, *(f'{name}="{value}"' for name, value in zip(names, values, strict=True))])
            yield from _one(metric, labels)


def _one(metric: Any, labels: str) -> Iterator[tuple[str, float]]:
    if isinstance(metric, Histogram):
        for bound in ("5.0", "+Inf"):
            yield f'{metric._name}_bucket{{{labels},le="{bound}"}}', 1.0
        yield f"{metric._name}_count{{{labels}}}", 1.0
        yield f"{metric._name}_sum{{{labels}}}", 0.25
    elif isinstance(metric, Counter):
        yield f"{metric._name}_total{{{labels}}}", 1.0
    else:
        yield f"{metric._name}{{{labels}}}", 0.0


def history(end: int) -> Iterator[str]:
    """All of it as OpenMetrics, series by series."""
    for name, growth in series():
        for moment in range(end - SPAN_S, end + 1, STEP_S):
            yield f"{name} {growth * (moment - end + SPAN_S) or 1} {moment}"
    yield "# EOF\n"


@pytest.fixture(scope="module")
def end() -> int:
    """The last moment that Prometheus has something of."""
    return int(time.time()) // STEP_S * STEP_S - STEP_S


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, end: int) -> Iterator[str]:
    """Its address."""
    folder: Path = tmp_path_factory.mktemp("prometheus")
    (folder / "history").write_text("\n".join(history(end)), encoding="utf-8")
    fill = ["promtool", "tsdb", "create-blocks-from", "--max-block-duration=720h", "openmetrics", "history", "data"]
    subprocess.run(fill, cwd=folder, check=True, capture_output=True)
    (folder / "prometheus.yaml").write_text("{}")
    [port] = draw(1)
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [
                "prometheus",
                "--config.file=prometheus.yaml",
                "--storage.tsdb.path=data",
                "--storage.tsdb.retention.time=30d",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            cwd=folder,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            _wait(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            with urlopen(f"{url}/-/ready"):
                return
        except URLError:
            time.sleep(0.05)
    pytest.fail(f"prometheus ended with {process.returncode}")


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
