"""Alerts, runbooks, metrics and tests of the rules hold together, and promtool agrees."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from alerting import FOREIGN, PLACE, RUNBOOKS, alerts, names, rules, selected, series
from house.source import ROOT
from typer.main import get_command

from mailweir.services.cli.app import app
from mailweir.services.settings import Settings

SECTIONS = ["What it means", "What to look at", "What to do", "How to confirm"]
TESTS = sorted(PLACE.glob("tests*.yaml"))


def _promtool(*arguments: object) -> str:
    """Run it; what it says. It must be satisfied."""
    ran = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def _cases() -> list[dict[str, Any]]:
    files = [yaml.safe_load(path.read_bytes()) for path in TESTS]
    return [case for file in files for test in file["tests"] for case in test["alert_rule_test"]]


def test_promtool_accepts_the_rules_and_the_configuration() -> None:
    """Syntax, functions, types, and every file that the configuration names."""
    assert f"SUCCESS: {len(rules())} rules found" in _promtool("check", "rules", PLACE / "rules.yaml")
    assert "is valid prometheus config file" in _promtool("check", "config", PLACE / "prometheus.yaml")


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_every_alert_fires_and_keeps_quiet_as_its_cases_say(path: Path) -> None:
    """Series as a worker would give them, and what is told of them at which minute."""
    assert "SUCCESS" in _promtool("test", "rules", path)


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    """An alert that nobody has seen fire is a hope."""
    assert {case["alertname"] for case in _cases() if case["exp_alerts"]} == set(alerts())
    assert {case["alertname"] for case in _cases() if not case["exp_alerts"]} == set(alerts())


def test_rules_name_only_what_exists() -> None:
    """Metrics of a worker or records of these rules; and a matcher's label is one that the metric has."""
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    unknown = {rule["expr"]: names(rule["expr"]) - set(series()) - recorded - FOREIGN for rule in rules()}
    assert {expression: left for expression, left in unknown.items() if left} == {}
    assert all(names(rule["expr"]) for rule in rules())
    matchers = [pair for rule in rules() for pair in selected(rule["expr"])]
    assert [(name, label) for name, label in matchers if name in series() and label not in series()[name]] == []
    assert len(matchers) > 20


def test_budgets_burn_as_the_workbook_has_it() -> None:
    """Each pair of windows: the short one is a twelfth, and what is gone of the month's budget after the long one is 2, 5, 10 and 10 %."""
    pair = r"(\w+):ratio_rate(\w+) > ([\d.]+) \* ([\d.]+) and stage:(\w+):ratio_rate(\w+) > ([\d.]+) \* ([\d.]+)"
    for kind, budget in (("Latency", "0.01"), ("Loss", "0.0001")):
        spent = []
        for speed in ("Fast", "Slowly"):
            for long, short in _halves(re.findall(pair, alerts()[f"Mailweir{kind}BudgetBurns{speed}"]["expr"])):
                assert (long[0], *long[2:], long[3]) == (short[0], *short[2:], budget)
                assert _hours(long[1]) == 12 * _hours(short[1])
                spent.append(round(float(long[2]) * _hours(long[1]) / (30 * 24), 4))
        assert spent == [0.02, 0.05, 0.1, 0.1]


def _halves(found: list[tuple[str, ...]]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    return [(one[:4], one[4:]) for one in found]


def _hours(window: str) -> float:
    return float(window[:-1]) * {"m": 1 / 60, "h": 1, "d": 24}[window[-1]]


def test_a_record_is_over_the_window_of_its_name() -> None:
    """`ratio_rate6h` takes its rates over six hours, all of them."""
    windows = {rule["record"]: set(re.findall(r"\[(\w+)\]", rule["expr"])) for rule in rules() if "record" in rule}
    wide = {name: found for name, found in windows.items() if found}
    assert len(wide) > 15
    assert {name: found for name, found in wide.items() if found != {re.split(r"rate|increase", name)[-1]}} == {}


def test_no_rule_adds_up_environments() -> None:
    """What is summed keeps the label of the scrape: a failure must not drown in another environment's mail."""
    summed = re.compile(r"\b(?:sum|min|max|avg|count)\b *(.{0,16})")
    found = [rest for rule in rules() for rest in summed.findall(re.sub(r"\w*:\w+:\w+", "", rule["expr"]))]
    assert len(found) > 40
    assert {
        rest for rest in found if not rest.startswith(("by (environment,", "by (environment)", "by (job, instan"))
    } == set()


def test_every_record_is_used() -> None:
    """By an alert or another record, or by a page."""
    used = set().union(*(names(rule["expr"]) for rule in rules()))
    pages = "".join(page.read_text(encoding="utf-8") for page in RUNBOOKS.glob("*.md"))
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert {name for name in recorded - used if name not in pages} == set()


def test_every_alert_has_its_page_and_every_page_its_alert() -> None:
    """The link leads there, and the page says four things, none of them empty."""
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == set(alerts())
    for name, alert in alerts().items():
        page = ROOT / alert["annotations"]["runbook_url"]
        assert page == RUNBOOKS / f"{name}.md"
        title, *parts = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert title.strip() == f"# {name}"
        assert [part.split("\n", 1)[0] for part in parts] == SECTIONS
        assert all(len(part.split("\n", 1)[1].strip()) > 20 for part in parts), name
        assert alert["labels"]["severity"] in {"page", "ticket"}
        assert alert["annotations"]["summary"]


def test_pages_name_only_what_exists() -> None:
    """Metrics, commands, settings and other alerts."""
    text = "".join(page.read_text(encoding="utf-8") for page in sorted(RUNBOOKS.glob("*.md")))
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    metrics = set(re.findall(r"\b(?:\w+:)?mailweir_\w+(?::\w+)?", text))
    assert {name for name in metrics if not _exists(name, recorded)} == set()
    assert len(metrics) > 20
    assert set(re.findall(r"\bMailweir[A-Z]\w+", text)) == set(alerts())
    fields = {f"MAILWEIR_{name.upper()}" for name in Settings.model_fields}
    wanted = {name for name in re.findall(r"\bMAILWEIR_\w+", text) if not name.endswith("_")}
    assert wanted
    assert wanted - fields == set()
    assert {words for words in re.findall(r"`mailweir ([a-z]+(?: [a-z]+)?)", text) if not _command(words)} == set()


def test_commands_of_pages_run_as_they_stand() -> None:
    """Nothing that a command asks for is left out: at night nobody wants to be told of a missing option."""
    text = "".join(page.read_text(encoding="utf-8") for page in sorted(RUNBOOKS.glob("*.md")))
    lines = set(re.findall(r"`mailweir ([^`]+)`", text))
    assert len(lines) > 10
    assert {line: left for line in lines if (left := _missing(line.split()))} == {}


def _missing(words: list[str]) -> list[str]:
    """Required options and arguments that a command line does not have; none where it asks for help."""
    command: Any = get_command(app)
    while words and hasattr(command, "commands") and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    needed = [parameter for parameter in command.params if parameter.required and "--help" not in words]
    options = [max(each.opts, key=len) for each in needed if each.param_type_name == "option"]
    arguments = sum(each.param_type_name == "argument" for each in needed)
    given = [word for before, word in zip(["", *words], words, strict=False) if not {before[:1], word[:1]} & {"-"}]
    return [name for name in options if name not in words] + ["argument"] * max(arguments - len(given), 0)


def _exists(name: str, recorded: set[str]) -> bool:
    """A series, a record, or a histogram by its own name."""
    return name in series() or name in recorded or f"{name}_bucket" in series()


def _command(words: str) -> bool:
    group: Any = get_command(app)
    for word in words.split():
        if not hasattr(group, "commands"):
            return True  # an argument
        if word not in group.commands:
            return False
        group = group.commands[word]
    return True
