"""Kubernetes manifests: as they lie there, as kustomize renders them, and held against the schemas without a cluster."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from cloudcoil.models.prometheus_operator.v1 import PodMonitor, PrometheusRule

__all__ = ["REFUSED", "Object", "check", "read", "render"]

Object = dict[str, Any]
REFUSED = (kubernetes_validate.ValidationError, AssertionError)
_CUSTOM = {"ScaledObject": ScaledObject, "PodMonitor": PodMonitor, "PrometheusRule": PrometheusRule}
_VERSION = "1.37.0"


def read(path: Path) -> list[Object]:
    """The objects of a file."""
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def render(folder: Path) -> list[Object]:
    """What `kubectl apply -k` would send; raises CalledProcessError where kustomize refuses the folder."""
    kubectl = str(Path(sys.executable).with_name("kubectl"))
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=True)
    assert not done.stderr, done.stderr  # deprecations and what it ignores
    return list(yaml.safe_load_all(done.stdout))


def check(found: Object) -> None:
    """Raise if the schema of its kind does not have it, or any field of it."""
    model = _CUSTOM.get(found["kind"])
    if model is None:
        kubernetes_validate.validate(found, _VERSION, strict=True)
        return
    kept = model.model_validate(copy.deepcopy(found)).model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert kept == found, "a field that the custom resource does not have"
