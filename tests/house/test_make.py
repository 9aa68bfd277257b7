"""The Makefile's own promises."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from house.source import ROOT


@pytest.mark.parametrize("target", ["test", "demo", "check"])
def test_a_dry_run_does_nothing(target: str, tmp_path: Path) -> None:
    """`make -n` prints what would be installed and run; the Python that it would begin with is one that fails at once."""
    command = ["make", "-n", target, f"VENV={tmp_path}/venv", f"TREE={tmp_path}/tree", "PYTHON=false"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"false -m venv {tmp_path}/venv" in done.stdout
    assert list(tmp_path.iterdir()) == []
