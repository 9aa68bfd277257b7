"""Bundles of any version out of one tiny bundle, and a registry with some of them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from pathlib import Path

from mailweir.models.registry import Registry
from mailweir.models.runtime.integrity import MANIFEST
from mailweir.schemas.events import ModelRef


def shared_tiny(own: Path) -> Path:
    """The tiny bundle of this run, made by the process that asks first; `own` is the temporary folder of this process.

    Under xdist that folder lies in the one of the run.
    """
    from mailweir.models.training.tiny import build_tiny_bundle

    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "tiny"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / MANIFEST).exists():
            build_tiny_bundle(folder)
    return folder


def version_of(tiny: Path, folder: Path, version: str, **changes: object) -> Path:
    """A copy of the bundle under another version; the manifest is no file that it holds a hash of."""
    copy = folder / f"made-{version}"
    shutil.copytree(tiny, copy)
    manifest = json.loads((copy / MANIFEST).read_bytes())
    manifest["model"]["version"] = version
    (copy / MANIFEST).write_text(json.dumps(manifest | changes))
    return copy


def stocked(root: Path, tiny: Path, *versions: str) -> Registry:
    """A registry with these versions of `email`, no champion yet."""
    registry = Registry(root / "registry")
    for version in versions:
        registry.add(version_of(tiny, root, version))
    return registry


def promote(registry: Registry, version: str, why: str = "test") -> None:
    """Make it champion, whoever is and whatever became of it."""
    champion = registry.champion("email")
    expected = champion.model.version if champion else None
    registry.promote(ModelRef(name="email", version=version), expected=expected, cause=why, by="ann", again=True)


def champions(registry: Registry) -> list[tuple[int, str, str]]:
    """The history of the model: number, what was done, and the champion since."""
    return [(entry.number, entry.action, entry.model.version) for entry in registry.history("email")]
