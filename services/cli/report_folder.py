"""The folder that a command's `--report` names: whatever would keep the report from being written is said before the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import util
from pathlib import Path

from mailweir.schemas.errors import InputError, SetupError

__all__ = ["report_folder", "unwritable"]


@contextmanager
def report_folder(folder: Path | None) -> Iterator[None]:
    """Make the folder for what happens inside, where it is written; work that is cut off leaves no empty one. None: no report.

    Raises:
        SetupError: the package that draws the pictures is missing.
        InputError: the folder, or a file in it, cannot be written.
    """
    if folder is None:
        yield
        return
    if util.find_spec("matplotlib") is None:
        raise SetupError(
            "the report's pictures need matplotlib, which is not installed: pip install 'mailweir[report]'"
        )
    fresh = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        yield
    finally:
        if fresh:
            with suppress(OSError):  # it is not empty: the report is there
                folder.rmdir()


def unwritable(folder: Path, error: OSError) -> InputError:
    """What to say when the report cannot be written."""
    return InputError(f"{folder}: {error.strerror}: name a folder that can be written", path=str(folder))
