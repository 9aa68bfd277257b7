"""A real Prometheus over workers of a test, with the rules of the repository, their times shortened."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from alerting import PLACE

from mailweir.services.app import Host
from mailweir.services.broker.ports import draw

SHORTER = 150
"""Windows and `for` of the rules are divided by it: five minutes are two seconds, an hour is 24. Limits stay as they are; that the
times are the right ones is what `promtool test rules` shows with the rules as they ship."""

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Prometheus:
    """A process of its own on a port of its own, all its data below one folder."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder

    def watch(self, name: str, worker: Host) -> None:
        """Scrape this worker from now on."""
        self._find("workers", name, f"127.0.0.1:{worker.health.port}")

    def watch_run(self, address: str) -> None:
        """Scrape this training run from now on."""
        self._find("runs", "one", address)

    def _find(self, folder: str, name: str, address: str) -> None:
        group = {"targets": [address], "labels": {"environment": "test"}}
        new = self._folder / folder / f"{name}.new"
        new.write_text(yaml.safe_dump([group]), encoding="utf-8")
        new.rename(new.with_suffix(".yaml"))  # whole when it is looked at

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """Evaluate now, nothing over nothing left out; an expression that cannot be raises."""
        found = self._get(f"query?{urllib.parse.urlencode({'query': expression})}")["result"]
        return [row for row in found if row["value"][1] != "NaN"]

    def rules(self) -> list[dict[str, Any]]:
        """Every rule with how its evaluation went."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def series(self) -> list[dict[str, str]]:
        """Labels of all series of ours."""
        query = urllib.parse.urlencode({"match[]": '{__name__=~"mailweir_.+", job=~".+"}'})
        return list(self._get(f"series?{query}"))

    def fired(self) -> set[str]:
        """Names of the alerts that have fired since the start."""
        found = self.ask('count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[1h]))')
        return {row["metric"]["alertname"] for row in found}

    async def until(self, expression: str, seconds: float = 240) -> None:
        """Until it returns something; Prometheus may still be starting."""
        try:
            async with asyncio.timeout(seconds):
                while not await asyncio.to_thread(self._returns, expression):  # noqa: ASYNC110 - the other process has no event
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"nothing came of {expression}") from None

    def _returns(self, expression: str) -> bool:
        try:
            return bool(self.ask(expression))
        except (urllib.error.URLError, ConnectionError):
            return False

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self._url}/api/v1/{path}", timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        assert found["status"] == "success"
        return found["data"]


@contextmanager
def watching(folder: Path) -> Iterator[Prometheus]:
    """As `deploy/prometheus` configures it, but twice a second; it is gone at the end."""
    config = yaml.safe_load((PLACE / "prometheus.yaml").read_bytes())
    config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "250ms"}
    for kind in ("workers", "runs"):
        (folder / kind).mkdir(parents=True)
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (folder / "rules.yaml").write_text(yaml.safe_dump(shortened()), encoding="utf-8")
    [port] = draw(1)
    options = [f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"]
    bounds = [f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.size=64MB", "--log.level=warn"]
    with (folder / "log").open("wb") as log, subprocess.Popen(["prometheus", *options, *bounds], stderr=log) as process:
        try:
            yield Prometheus(f"http://127.0.0.1:{port}", folder)
        finally:
            process.kill()


def shortened() -> dict[str, Any]:
    """The rules, every window and every `for` divided; the one place where a test's rules differ from those that ship."""
    found: dict[str, Any] = yaml.safe_load((PLACE / "rules.yaml").read_bytes())
    for rule in (rule for group in found["groups"] for rule in group["rules"]):
        rule["expr"] = re.sub(
            r"(?<=\[)\d+[smhd](?=\])|(?<=offset )\d+[smhd]", lambda time: _shorter(time[0]), rule["expr"]
        )
        if "for" in rule:
            rule["for"] = _shorter(rule["for"])
    return found


def _shorter(time: str) -> str:
    return f"{int(time[:-1]) * _SECONDS[time[-1]] * 1_000 // SHORTER}ms"
