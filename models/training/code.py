"""Which code a bundle was made by: the version of a package does not tell one working copy from another."""

import hashlib
from functools import cache
from pathlib import Path

_PARTS = ("models", "schemas")  # what a bundle's bytes follow from, besides the packages that its manifest names
_DIGITS = 16


@cache
def code_digest() -> str:
    """Of every Python and word file that training and text go through."""
    # as this file was found, links unresolved: in a source checkout the two folders stand side by side
    root, found = Path(__file__).parents[2], hashlib.sha256()
    for part in _PARTS:
        for path in sorted(path for kind in ("*.py", "*.toml") for path in (root / part).rglob(kind)):
            found.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return found.hexdigest()[:_DIGITS]
