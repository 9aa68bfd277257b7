"""The folder of a run: what each step came to, durable, and a lock so that one process at a time carries it out.

    plan.json         which champion it started from, by which code, with which corpus
    admission.json    what of the shards was admitted, and what was refused and why
    candidate/        the bundle, whole or not there; checkpoints of fine-tuning lie beside it
    verdict/          of the gate: verdict.json, and a page where matplotlib is installed
    end.json          how the run ended

None of them holds the text of a mail.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mailweir.models.registry.durable import locked, replace_file
from mailweir.schemas.errors import DependencyError, MailweirError, RegistryError, SettingsError
from mailweir.services.settings import Settings

__all__ = ["ADMISSION", "END", "PLAN", "RunFolder", "held", "no_room"]

PLAN, ADMISSION, END = "plan.json", "admission.json", "end.json"
_LOCK = ".lock"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths of one run, and its small files."""

    path: Path

    @property
    def candidate(self) -> Path:
        """The bundle."""
        return self.path / "candidate"

    @property
    def verdict(self) -> Path:
        """Folder of the gate's verdict."""
        return self.path / "verdict"

    def read(self, name: str) -> bytes | None:
        """A small file; None before it was written."""
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Replace it, whole and durable."""
        replace_file(self.path / name, content)


def no_room(error: BaseException) -> bool:
    """True if a full disk is what it comes from."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _NO_ROOM:
            return True
        seen = seen.__cause__
    return False


@contextmanager
def held(settings: Settings, run_id: str) -> Iterator[RunFolder]:
    """The folder of a run, held until the end; the system lets it go when its holder dies.

    Raises:
        DependencyError: another process has it, or a disk was full meanwhile: what was finished is kept, and the run goes on from
            there once there is room.
        SettingsError: it cannot be made.
    """
    folder = RunFolder(settings.trainer_dir.absolute() / run_id)
    try:
        with _held(folder, run_id):
            yield folder
    except (OSError, MailweirError) as error:
        if not no_room(error):
            raise
        message = (
            f"a disk is full ({error}): make room, as by removing ended runs below {folder.path.parent}; the run stays open, and the "
            "same command goes on with it"
        )
        raise DependencyError(message, run_id=run_id) from error


@contextmanager
def _held(folder: RunFolder, run_id: str) -> Iterator[None]:
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"{folder.path}: {error.strerror}: set MAILWEIR_TRAINER_DIR", path=str(folder.path)
        ) from error
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder.path / _LOCK, seconds=0))
        except RegistryError as error:
            message = f"run {run_id[:12]} is being carried out by another process, which holds {folder.path / _LOCK}"
            raise DependencyError(message, run_id=run_id) from error
        yield
