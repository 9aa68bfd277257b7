"""`mailweir metrics`: what a worker tells Prometheus, and that it is what README counts."""

from __future__ import annotations

import re

from alerting import alerts, rules, series
from command import mailweir
from grafana.boards import BOARDS
from house.source import ROOT


def test_every_metric_is_listed() -> None:
    """By the name that a query needs, with kind, unit, labels and help."""
    done = mailweir("metrics", "--json")
    assert done.code == 0, done.err
    rows = {row["name"]: row for row in done.rows()}
    assert {name if name in series() else f"{name}_bucket" for name in rows} <= series().keys()
    age = rows["mailweir_mail_age_seconds"]
    assert (age["kind"], age["unit"], age["labels"]) == ("histogram", "seconds", ["stage"])
    assert rows["mailweir_mails_total"]["kind"] == "counter"
    assert all(row["help"] for row in rows.values())
    assert "mailweir_mails_total" in mailweir("metrics").out


def test_readme_counts_what_there_is() -> None:
    """Metrics, dashboards, panels, rules and alerts."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    told = {
        what: int(number) for number, what in re.findall(r"\b(\d+) (metrics|dashboards|panels|rules|alerts)\b", text)
    }
    assert told == {
        "metrics": len(mailweir("metrics", "--json").rows()),
        "dashboards": len(BOARDS),
        "panels": sum(len(board.panels) for board in BOARDS),
        "rules": len(rules()),
        "alerts": len(alerts()),
    }
