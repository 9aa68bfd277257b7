"""The rows of a shard, as it was announced. An announcement is anybody's word: only files of our own ledger are read."""

from __future__ import annotations

import hashlib
import posixpath
from typing import TYPE_CHECKING, Self

from mailweir.schemas.errors import DependencyError, InputError, SettingsError
from mailweir.schemas.events import Part, ShardClosed

if TYPE_CHECKING:
    from mailweir.models.feedback import FeedbackRow

__all__ = ["ShardFile", "ShardReader"]

_MOST_BYTES = 256 * 1024 * 1024
"""Of a file that is read: a shard closes at MAILWEIR_SHARD_BYTES, of at most half of it, and the batch that went beyond."""


class ShardFile(Part):
    """A shard as a bundle's manifest names it: enough to read it again."""

    shard_id: str
    sha256: str
    uri: str
    bytes: int | None = None  # not told by manifests from before it was kept

    @classmethod
    def of(cls, shard: ShardClosed) -> Self:
        """As it was announced."""
        return cls(shard_id=shard.shard_id, sha256=shard.sha256, uri=shard.uri, bytes=shard.bytes)


class ShardReader:
    """Reads shards below one ledger. Blocking; needs the packages of [feedback]."""

    def __init__(self, ledger: str) -> None:
        """`ledger` as MAILWEIR_LEDGER names it.

        Raises:
            SettingsError: fsspec does not know the protocol, or its package is missing.
        """
        import fsspec

        try:
            self._store, root = fsspec.core.url_to_fs(ledger)
        except (ImportError, ValueError) as error:
            raise SettingsError(f"MAILWEIR_LEDGER={ledger} cannot be opened: {error}", uri=ledger) from error
        self._folder = f"{root.rstrip('/')}/"
        self._uri = str(self._store.unstrip_protocol(self._folder)).rstrip("/") + "/"

    def read(self, file: ShardFile) -> list[FeedbackRow]:
        """The rows of a shard.

        Raises:
            DependencyError: the store is away.
            InputError: it is said to lie elsewhere or to be too large, is gone, not the one that was announced, or no shard.
        """
        from mailweir.models.feedback import read_rows

        data = self._bytes(file, self._path(file.uri))
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise InputError(f"{file.uri} is not the file that was announced: its hash differs", shard_id=file.shard_id)
        return read_rows(data, file.uri)

    def _path(self, uri: str) -> str:
        """Where it lies in the store. Nothing of a foreign address is opened, so none of its protocols is loaded either."""
        below = uri.removeprefix(self._uri)
        if below == uri or below != posixpath.normpath(below) or below.startswith(("../", "/")) or below in {".", ".."}:
            message = f"{uri} is not below the ledger {self._uri} (MAILWEIR_LEDGER), and nothing else is read"
            raise InputError(message, uri=uri)
        return self._folder + below

    def _bytes(self, file: ShardFile, path: str) -> bytes:
        most = _MOST_BYTES if file.bytes is None else file.bytes
        if most > _MOST_BYTES:
            raise InputError(
                f"{file.uri} is announced with {most:,} bytes, and at most {_MOST_BYTES:,} are read", uri=file.uri
            )
        data = self._ask(file.uri, path, most + 1)
        if len(data) > most:
            raise InputError(
                f"{file.uri} is not the file that was announced: it has more than {most:,} bytes", uri=file.uri
            )
        return data

    def _ask(self, uri: str, path: str, most: int) -> bytes:
        try:
            return bytes(self._store.cat_file(path, start=0, end=most))
        except FileNotFoundError as error:
            raise InputError(f"{uri} is gone", uri=uri) from error
        except (IsADirectoryError, NotADirectoryError) as error:
            raise InputError(f"{uri} is no file", uri=uri) from error
        except Exception as error:  # each store raises its own kinds; the others may pass
            raise DependencyError(f"cannot read {uri}: {type(error).__name__}") from error
