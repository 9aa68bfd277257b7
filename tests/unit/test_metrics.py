"""What Prometheus is told: names, units, help, and how many series there can be."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
from alerting import declared
from prometheus_client.exposition import generate_latest

from mailweir.services.telemetry import Metrics

BASE_UNITS = ("_seconds", "_bytes", "_ratio", "_info")
COUNTED = [
    "_mails",
    "_records",
    "_offsets",
    "_partitions",
    "_shards",
    "_labels",
    "_tokens",
    "_rejects",
    "_redelivered",
    "_retries",
    "_commits",
    "_rebalances",
    "_swaps",
    "_failures",
    "_decisions",
    "_dropped",
    "_feedback",
    "_verdicts",
    "_requests",
    "_refusals",
    "_runs",
    "_restarts",
    "_asked",
    "_answered",
    "_rules",
    "_rollbacks",
    "_spans",
]
"""What has no unit is counted: the name ends in what."""
PURE = {
    "mailweir_expected_right": "a sum of probabilities",
    "mailweir_verdict_weight": "a sum of inverse chances",
    "mailweir_retrain_open": "yes or no",
    "mailweir_trainer_running": "yes or no",
    "mailweir_trainer_phase": "yes or no, by phase",
    "mailweir_trainer_loss": "a loss has no unit",
    "mailweir_review_budget_left": "questions",
    "mailweir_review_open": "questions",
}

BOUNDED = {
    "stage": "the agents",
    "step": "steps in code",
    "outcome": "outcomes in code",
    "cause": "causes in code",
    "reason": "codes of the policy",
    "why": "the review's reasons",
    "phase": "the trainer's phases",
    "origin": "origins of feedback",
    "sample": "lot or given",
    "verdict": "right or wrong",
    "needs_review": "true or false",
    "tier": "tiers of the cascade",
    "code": "the tree of errors",
    "partition": "a topic's partitions",
    "name": "models of the registry",
    "version": "versions of the registry",
    "head": "the taxonomy",
    "label": "the taxonomy",
    "rule": "the tenant's file of rules",
}
"""Every label that a metric may have, and the closed set that its values come from. Never a mail, a mailbox or a person."""


@pytest.mark.parametrize("name", sorted(declared()))
def test_a_metric_says_what_it_is(name: str) -> None:
    """Our prefix, help in a sentence, a base unit or what is counted, and no unit that is not a base one."""
    metric = declared()[name]
    assert re.fullmatch(r"mailweir(_[a-z]+)+", name)
    assert re.fullmatch(r"(?s)[A-Z0-9].{15,}\.", metric._documentation)
    assert name.endswith(BASE_UNITS) or name.endswith(tuple(COUNTED)) or name in PURE
    assert not re.search(r"_(ms|millis\w*|minutes|hours|kb|mb|mib|percent)(_|$)", name)


def test_what_has_no_unit_is_still_declared() -> None:
    """A name that went must not keep its excuse."""
    assert set(PURE) <= set(declared())


def test_labels_have_values_from_closed_sets() -> None:
    """The number of series is bounded by what we and the operator write, not by what the mail says."""
    assert {label for metric in declared().values() for label in metric._labelnames} == set(BOUNDED)
    assert {name for name, metric in declared().items() if len(metric._labelnames) > 4} == set()


def test_promtool_finds_nothing_in_them() -> None:
    """Its linter over a page on which every metric has a value."""
    metrics = Metrics()
    for metric in vars(metrics).values():
        if getattr(metric, "_labelnames", ()):
            _touch(metric)
    page = generate_latest(metrics.registry)
    assert all(f"# HELP {name}".encode() in page for name in declared())
    ran = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False)
    assert (ran.returncode, (ran.stdout + ran.stderr).decode()) == (0, "")


def _touch(metric: Any) -> None:
    metric.labels(*("x" for _ in metric._labelnames))
