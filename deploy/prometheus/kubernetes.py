"""The rules as the Prometheus operator takes them: a PrometheusRule of the same groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

__all__ = ["FILE", "encode"]

RULES = Path(__file__).parent / "rules.yaml"
FILE = Path(__file__).parents[1] / "k8s" / "prod" / "rules.yaml"
_HEAD = """\
# Written by `make rules` from deploy/prometheus/rules.yaml; change it there. A Prometheus whose `ruleSelector` asks for a label
# takes these rules once the label is added to them, in an overlay of yours.
"""


class _Lines(yaml.SafeDumper):
    """Expressions of several lines stay readable."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Lines.add_representer(str, _text)


def encode() -> str:
    """The manifest."""
    manifest: dict[str, Any] = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "mailweir", "labels": {"app.kubernetes.io/name": "mailweir"}},
        "spec": yaml.safe_load(RULES.read_bytes()),
    }
    return _HEAD + yaml.dump(manifest, Dumper=_Lines, sort_keys=False, width=200, allow_unicode=True)
