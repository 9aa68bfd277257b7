"""The rows of a shard, as it was announced."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mailweir.schemas.errors import DependencyError, InputError

if TYPE_CHECKING:
    from mailweir.models.feedback import FeedbackRow

__all__ = ["read_shard"]


def read_shard(uri: str, sha256: str, shard_id: str) -> list[FeedbackRow]:
    """The rows of the file at `uri`. Blocking; needs the packages of [feedback].

    Raises:
        DependencyError: the store is away.
        InputError: the file is gone, or not the one that was announced, or no shard.
    """
    from mailweir.models.feedback import read_rows

    data = _read(uri)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise InputError(f"{uri} is not the file that was announced: its hash differs", shard_id=shard_id)
    return read_rows(data, uri)


def _read(uri: str) -> bytes:
    import fsspec

    try:
        store, path = fsspec.core.url_to_fs(uri)
    except ValueError as error:  # an address that nobody can read would be waited for as long as the topic names it
        raise InputError(f"{uri} names no store that fsspec knows", path=uri) from error
    except Exception as error:
        raise DependencyError(f"cannot open the store of {uri}: {type(error).__name__}") from error
    try:
        return bytes(store.cat_file(path))
    except FileNotFoundError as error:
        raise InputError(f"{uri} is gone", path=uri) from error
    except (IsADirectoryError, NotADirectoryError) as error:
        raise InputError(f"{uri} is no file", path=uri) from error
    except Exception as error:  # each store raises its own kinds; the others may pass
        raise DependencyError(f"cannot read {uri}: {type(error).__name__}") from error
