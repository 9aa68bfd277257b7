"""The house: every script of `tests/bench` finds what it imports when it is run as its docstring says."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

import pytest
from house.source import ROOT, text, tracked, tree

SCRIPTS = [path for path in tracked() if path.parts[:2] == ("tests", "bench") and path.suffix == ".py"]


def imported(module: ast.Module) -> set[str]:
    """First parts of the names that a module imports at its top."""
    found = {alias.name for node in module.body if isinstance(node, ast.Import) for alias in node.names}
    found |= {node.module or "" for node in module.body if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in found}


@pytest.mark.parametrize("script", [path for path in SCRIPTS if not path.name.startswith("test_")], ids=str)
def test_a_script_is_run_with_what_it_imports(script: Path) -> None:
    """A module of `tests` is found only with PYTHONPATH=tests, a module beside the script always."""
    names = imported(tree(script))
    beside = {name for name in names if (ROOT / script.parent / f"{name}.py").is_file()}
    of_tests = {name for name in names - beside if find_spec(name) is None or _in_tests(name)}
    assert not of_tests or f"PYTHONPATH=tests python {script}" in text(script), of_tests


def _in_tests(name: str) -> bool:
    return (ROOT / "tests" / name).is_dir() or (ROOT / "tests" / f"{name}.py").is_file()
