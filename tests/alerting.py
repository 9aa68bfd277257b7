"""The rules for Prometheus as the tests see them, and which metrics and labels there are to be named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml
from house.source import ROOT
from prometheus_client.metrics import MetricWrapperBase

from mailweir.services.telemetry import Metrics

PLACE = ROOT / "deploy" / "prometheus"
RUNBOOKS = ROOT / "deploy" / "runbooks"

FOREIGN = {"up", "process_cpu_seconds_total", "process_start_time_seconds"}
"""Metrics that are not ours to declare: Prometheus' own, and the process collector's."""
_SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
_WORDS = {"and", "or", "unless", "on", "ignoring", "by", "without", "group_left", "group_right", "offset", "bool"}


def rules() -> list[dict[str, Any]]:
    """Every rule, recording or alerting."""
    found = yaml.safe_load((PLACE / "rules.yaml").read_bytes())
    return [rule for group in found["groups"] for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    """Every alert by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


@cache
def declared() -> dict[str, MetricWrapperBase]:
    """Every metric of a worker by the name it is declared under, without the suffix of a counter."""
    return {metric._name: metric for metric in Metrics().declared()}


@cache
def series() -> dict[str, set[str]]:
    """Names as Prometheus stores them, each with its labels."""
    return {
        name + suffix: {*metric._labelnames, *(("le",) if suffix == "_bucket" else ())}
        for name, metric in declared().items()
        for suffix in _SUFFIXES[metric._type]
    }


def names(expression: str) -> set[str]:
    """The metrics that an expression names: what is left of it without selectors, ranges, groupings and functions."""
    text = re.sub(r"\{[^}]*\}|\[[^]]*\]|\"[^\"]*\"", "", expression)
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", text)
    text = re.sub(r"\boffset\s+\w+", "", text)
    return set(re.findall(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?![\w:]|\s*\()", text)) - _WORDS


def selected(expression: str) -> Iterator[tuple[str, str]]:
    """Metric and label of every matcher."""
    for name, matchers in re.findall(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}", expression):
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers):
            yield name, label
