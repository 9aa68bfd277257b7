"""Is a bundle whole, and is it by whom we trust?"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePath

from mailweir.models.registry.keys import PublicKey
from mailweir.models.registry.signature import SIGNATURE, check_signature
from mailweir.models.runtime.integrity import MANIFEST, manifest_bytes, parse_manifest, verify_files, verify_labels
from mailweir.schemas.errors import BundleError
from mailweir.schemas.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Trusted:
    """A manifest that may be believed, and its identity."""

    manifest: Manifest
    sha256: str  # of manifest.json: it stands for the whole bundle, whose hashes it holds


def trusted_manifest(folder: Path, key: PublicKey | None = None) -> Trusted:
    """The manifest of the bundle in `folder`; with `key` only where its owner signed it. Files are not looked at.

    Raises:
        BundleError: it is missing or broken, not signed, or signed by another; the message names the file.
    """
    content = manifest_bytes(folder)
    if key is not None:
        check_signature(folder, content, key)
    manifest = parse_manifest(folder, content)
    _refuse_paths(folder, manifest)
    return Trusted(manifest, hashlib.sha256(content).hexdigest())


def verify_bundle(folder: Path, key: PublicKey | None = None) -> Trusted:
    """`trusted_manifest`, and every file and label that it speaks of.

    Raises:
        BundleError: naming the first file that is missing or changed.
    """
    found = trusted_manifest(folder, key)
    verify_files(folder, found.manifest)
    verify_labels(folder, found.manifest)
    return found


def _refuse_paths(folder: Path, manifest: Manifest) -> None:
    """Files of a bundle lie in its folder: a name such as ../../x would have others hashed and copied."""
    for name in manifest.files:
        if PurePath(name).name != name or name in {MANIFEST, SIGNATURE}:
            message = (
                f"{folder / MANIFEST} names {name!r}, which is no file of a bundle; train a new one: mailweir train"
            )
            raise BundleError(message, path=str(folder / MANIFEST))
