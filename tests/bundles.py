"""Bundles of any version out of one tiny bundle, and a registry with some of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from mailweir.models.registry import Registry
from mailweir.models.runtime.integrity import MANIFEST
from mailweir.schemas.events import ModelRef


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
