"""A real Prometheus that holds what workers would have told it for eight days."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from prometheus_client import Counter, Histogram

from mailweir.services.broker.ports import draw
from mailweir.services.telemetry import Metrics

STEP_S = 900
SPAN_S = 8 * 24 * 3_600  # a week ago is compared with, over a day
HOSTILE = '<img src=x onerror="document.title=1">'
"""A label's value comes from data: a rule's name is whatever a tenant wrote."""
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
    "rule": ("one", HOSTILE),
    "version": ("1.a", HOSTILE),
}
"""Labels of which a query chooses or compares values; any other has one."""
OWN = {
    "process_cpu_seconds_total": 0.5,
    "process_resident_memory_bytes": 0,
    "process_open_fds": 0,
    "process_max_fds": 0,
}
"""What every process exposes, and its growth by second."""


def series() -> Iterator[tuple[str, float]]:
    """Every series of a worker and its growth by second; one that does not grow is 1."""
    yield from ((f"{name}{{{WORKER}}}", growth) for name, growth in OWN.items())
    for metric in Metrics().declared():
        names: tuple[str, ...] = metric._labelnames
        for values in product(*(VALUES.get(name, ("one",)) for name in names)):
            labels = ",".join(
                [WORKER, *(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))]
            )
            yield from _one(metric, labels)


def _escaped(value: str) -> str:
    """As OpenMetrics has it."""
    return value.replace("\\", "\\\\").replace('"', '\\"')


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


def last_moment() -> int:
    """The last that Prometheus has something of."""
    return int(time.time()) // STEP_S * STEP_S - STEP_S


@contextmanager
def filled_prometheus(folder: Path, end: int) -> Iterator[str]:
    """Its address; it keeps its data in the folder, and is gone at the end."""
    (folder / "history").write_text("\n".join(history(end)), encoding="utf-8")
    fill = ["promtool", "tsdb", "create-blocks-from", "--max-block-duration=720h", "openmetrics", "history", "data"]
    subprocess.run(fill, cwd=folder, check=True, capture_output=True)
    (folder / "prometheus.yaml").write_text("{}")
    [port] = draw(1)
    command = ["prometheus", "--config.file=prometheus.yaml", "--storage.tsdb.path=data"]
    bounds = ["--storage.tsdb.retention.time=30d", f"--web.listen-address=127.0.0.1:{port}"]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([*command, *bounds], cwd=folder, stdout=log, stderr=log) as process,
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
