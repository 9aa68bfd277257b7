"""The repository as the house tests see it: tracked files, and the package's modules as syntax trees."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = ("schemas", "services", "models")
"""The folders that are the package."""


@cache
def tracked() -> tuple[Path, ...]:
    """Every file of the repository that git knows, or would: relative paths."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return tuple(
        path for name in sorted(listed.split("\0")) if name and (path := Path(name)) and (ROOT / path).is_file()
    )


@cache
def modules() -> dict[Path, ast.Module]:
    """The package's modules by relative path."""
    return {path: tree(path) for path in tracked() if path.suffix == ".py" and path.parts[0] in PARTS}


def tree(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), str(path))


def module_name(path: Path) -> str:
    """`services/app.py` → `mailweir.services.app`."""
    return ".".join(["mailweir", *path.with_suffix("").parts]).removesuffix(".__init__")


def text(path: Path) -> str:
    """A file's text; empty if it is none."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""
