"""Files of the ledger: a folder, or any object store that fsspec knows. What is created is whole, durable, and never replaced."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem

from mailweir.schemas.errors import DependencyError, SettingsError

__all__ = ["Store"]

T = TypeVar("T")


class Room(NamedTuple):
    """Bytes of a disk."""

    total: int
    free: int  # for others than root


class Store:
    """Blocking: an agent calls it in a thread. Paths are relative to the root, with slashes."""

    def __init__(self, uri: str) -> None:
        """Open `uri`, such as `/var/lib/mailweir` or `s3://bucket/mailweir`.

        Raises:
            SettingsError: fsspec does not know the protocol, or its package is missing.
        """
        try:
            self._fs, self._root = fsspec.core.url_to_fs(uri)
        except (ImportError, ValueError) as error:
            raise SettingsError(f"MAILWEIR_LEDGER={uri} cannot be opened: {error}", uri=uri) from error
        self._local = isinstance(self._fs, LocalFileSystem)

    def uri(self, path: str = "") -> str:
        """The full address of a path, for others."""
        return str(self._fs.unstrip_protocol(self._full(path)))

    def names(self, folder: str) -> dict[str, int]:
        """Names of the files of a folder and their bytes; none if there is no such folder."""

        def listed() -> dict[str, int]:
            self._fs.invalidate_cache()  # others write here as well
            try:
                found = self._fs.ls(self._full(folder), detail=True)
            except FileNotFoundError:
                return {}
            return {one["name"].rpartition("/")[2]: int(one["size"]) for one in found if one["type"] == "file"}

        return self._ask(f"list {folder}", listed)

    def tree(self, folder: str, ending: str) -> list[str]:
        """Paths of all files below a folder whose names end so and begin without a dot, in order."""

        def found() -> list[str]:
            self._fs.invalidate_cache()
            below = self._full(folder)
            names = [str(name)[len(below) - len(folder) :] for name in self._fs.find(below)]
            return sorted(name for name in names if name.endswith(ending) and "/." not in name)

        return self._ask(f"list {folder}", found)

    def room(self) -> Room | None:
        """What is free on the disk of the folder; None for an object store, which says nothing of it."""
        return self._ask("ask for the room", lambda: _room(Path(self._root))) if self._local else None

    def read(self, path: str) -> bytes:
        """A file's bytes."""
        return self._ask(f"read {path}", lambda: bytes(self._fs.cat_file(self._full(path))))

    def written_at(self, path: str) -> datetime:
        """When a file was written, by the clock of the store."""

        def asked() -> datetime:
            found: datetime = self._fs.modified(self._full(path))
            return found

        return self._ask(f"look at {path}", asked)

    def create(self, path: str, data: bytes) -> bool:
        """Write a file that is not there yet; False if it is, and then it stays as it is.

        In a folder: a temporary file, fsync, a link under the name, fsync of the folder. In an object store one put, which is
        atomic, on the condition that the name is free.
        """
        full = self._full(path)
        return self._ask(f"write {path}", lambda: _create(Path(full), data) if self._local else self._put(full, data))

    def _put(self, full: str, data: bytes) -> bool:
        try:
            self._fs.pipe_file(full, data, mode="create")
        except FileExistsError:
            return False
        return True

    def _full(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{path}".rstrip("/")

    def _ask(self, doing: str, work: Callable[[], T]) -> T:
        try:
            return work()
        except Exception as error:
            raise DependencyError(f"cannot {doing} in the ledger {self.uri()}: {_told(error)}") from error


def _room(folder: Path) -> Room:
    there = next(one for one in (folder, *folder.parents) if one.exists())  # the first row makes the folder
    used = shutil.disk_usage(there)
    return Room(used.total, used.free)


def _told(error: Exception) -> str:
    return (
        f"{type(error).__name__} {os.strerror(error.errno)}"
        if isinstance(error, OSError) and error.errno
        else repr(error)
    )


def _create(path: Path, data: bytes) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # unlike a rename it replaces nothing
        except FileExistsError:
            return False
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    _sync_folders(path.parent)
    return True


def _sync_folders(folder: Path) -> None:
    """The name is durable once its folder is, and the folder once the one above is."""
    for one in (folder, folder.parent, folder.parent.parent):
        handle = os.open(one, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
