"""Files that survive a crash at any point, and a lock between processes."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailweir.schemas.errors import RegistryError

_LOCK_SECONDS = 10.0  # what is done under the lock takes milliseconds; whoever holds it longer hangs
_POLL_SECONDS = 0.01


@contextmanager
def locked(path: Path, seconds: float = _LOCK_SECONDS) -> Iterator[None]:
    """Hold the lock file `path`; the system lets it go when its holder dies.

    Raises:
        RegistryError: another process held it for `seconds`.
    """
    with path.open("ab") as stream:
        end = time.monotonic() + seconds
        while not _taken(stream.fileno()):
            if time.monotonic() > end:
                message = f"{path} is held by another process for more than {seconds:.0f} s: see who has it open (lsof)"
                raise RegistryError(message, path=str(path))
            time.sleep(_POLL_SECONDS)
        yield


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def replace_file(path: Path, content: bytes) -> None:
    """Readers see the old content or the new, whole; after the return it is on the disk."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), 0o644)  # workers of another user read it
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync(path.parent)


def append_line(path: Path, line: bytes) -> None:
    """Add a line durably; half a line that a crash left at the end goes."""
    with path.open("a+b") as stream:
        stream.seek(0)
        content = stream.read()
        if content and not content.endswith(b"\n"):
            stream.truncate(content.rfind(b"\n") + 1)
        stream.write(line + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    sync(path.parent)


def sync(path: Path) -> None:
    """Put a file, or the names in a folder, onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unwritable(folder: Path, error: OSError) -> RegistryError:
    """What to say where something in `folder` could not be written."""
    where = error.filename or folder
    return RegistryError(f"{where}: {error.strerror}: is there room, and may we write?", path=str(where))
