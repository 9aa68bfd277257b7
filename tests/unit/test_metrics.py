"""What Prometheus is told: names, units, help, and how many series there can be."""

from __future__ import annotations

import math
import re
import subprocess
from typing import Any

import pytest
from alerting import PLACE, declared
from grafana.boards import BOARDS
from labels import sizes
from prometheus_client import Histogram
from prometheus_client.exposition import generate_latest

from mailweir.services.telemetry import Metrics
from mailweir.services.telemetry.labels import MOST_RULES, MOST_VERSIONS, OTHER

QUERIES = [query for board in BOARDS for panel in board.panels for query in panel.queries]

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
    "_abstentions",
    "_steps",
    "_spans",
]
"""What has no unit is counted: the name ends in what."""
PURE = {
    "mailweir_verdict_weight": "a sum of inverse chances",
    "mailweir_retrain_open": "yes or no",
    "mailweir_trainer_running": "yes or no",
    "mailweir_trainer_phase": "yes or no, by phase",
    "mailweir_trainer_loss": "a loss has no unit",
    "mailweir_review_budget_left": "questions",
    "mailweir_review_open": "questions",
}


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
    """The number of values is bounded by what we and the operator write, not by what the mail says."""
    assert {label for metric in declared().values() for label in metric._labelnames} == set(sizes())
    assert {name for name, metric in declared().items() if len(metric._labelnames) > 4} == set()


def test_a_process_cannot_have_more_series_than_prometheus_bears() -> None:
    """Every combination of every label at once, with all buckets, is some ten thousand; a worker has hundreds."""
    assert sum(_series(metric) for metric in declared().values()) < 12_000


def _series(metric: Any) -> int:
    """At most; a label of the taxonomy belongs to one head."""
    names = set(metric._labelnames) - ({"head"} if "label" in metric._labelnames else set())
    each = len(metric._upper_bounds) + 2 if isinstance(metric, Histogram) else 1
    return each * math.prod(sizes()[name] for name in names)


def test_of_many_versions_the_latest_are_kept() -> None:
    """A worker that serves for months does not grow; the version that is served stays, whatever else people speak of."""
    metrics = Metrics()
    metrics.bundle.labels("email", "1.0").set(1)
    for number in range(MOST_VERSIONS + 3):
        for version in ("1.0", f"2.{number}"):
            metrics.confidence.labels("category", metrics.label.version(version), "encoder").observe(0.9)
    value = metrics.registry.get_sample_value
    known = {sample.labels["version"] for family in metrics.confidence.collect() for sample in family.samples}
    assert known == {"1.0", *(f"2.{number}" for number in range(4, MOST_VERSIONS + 3))}
    of_it = {"head": "category", "version": "1.0", "tier": "encoder"}
    assert value("mailweir_confidence_ratio_count", of_it) == MOST_VERSIONS + 3
    assert value("mailweir_bundle_info", {"name": "email", "version": "1.0"}) == 1


def test_mailboxes_and_rules_that_nobody_named_are_one() -> None:
    """Whoever sends to a new address every time, or writes a thousand rules, makes no series."""
    label = Metrics(["sales"]).label
    assert [label.mailbox(name) for name in ("sales", "sales+1", "x" * 500)] == ["sales", OTHER, OTHER]
    assert {label.rule(f"rule {number}") for number in range(1_000)} == {
        *(f"rule {number}" for number in range(MOST_RULES)),
        OTHER,
    }
    assert label.rule("rule 0") == "rule 0"


def test_a_bound_that_a_query_names_is_a_bucket() -> None:
    """The share within five seconds can be told only if five seconds is a bound of the histogram."""
    text = (PLACE / "rules.yaml").read_text() + "".join(query.expression for query in QUERIES)
    found = set(re.findall(r'(mailweir_\w+)_bucket\{[^}]*\ble="([\d.]+)"', text))
    assert {name for name, _ in found} == {"mailweir_mail_age_seconds"}
    for name, bound in found:
        assert float(bound) in declared()[name]._upper_bounds  # type: ignore[attr-defined]


def test_promtool_finds_nothing_in_them() -> None:
    """Its linter over a page on which every metric has a value."""
    metrics = Metrics()
    for metric in metrics.declared():
        if metric._labelnames:
            _touch(metric)
    page = generate_latest(metrics.registry)
    assert all(f"# HELP {name}".encode() in page for name in declared())
    ran = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False)
    assert (ran.returncode, (ran.stdout + ran.stderr).decode()) == (0, "")


def _touch(metric: Any) -> None:
    metric.labels(*("x" for _ in metric._labelnames))
