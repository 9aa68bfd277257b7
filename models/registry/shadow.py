"""The shadow of a model: a pointer beside the champion's to the version that scores a share of the mail without being heard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import Field, ValidationError

from mailweir.models.registry.durable import locked, replace_file, sync, unwritable
from mailweir.schemas.errors import RegistryError
from mailweir.schemas.events import ModelRef, Part, Sha256, UtcTime

SHADOW, _LOCK = "shadow.json", ".lock"  # the champion's lock: neither pointer changes while the other is looked at


class Shadow(Part):
    """Which version is the shadow, and of how much mail."""

    model: ModelRef
    manifest_sha256: Sha256 = Field(description="Of its manifest.json, which holds the hashes of its files.")
    share: float = Field(gt=0, le=1, description="Of the mails, chosen by the hash of their ids.")
    by: str = Field(min_length=1, description="Who: a login or the opaque id of a run.")
    at: UtcTime


def read_shadow(folder: Path) -> Shadow | None:
    """The shadow of the model in `folder`; None if there is none.

    Raises:
        RegistryError: the pointer is there and cannot be read.
    """
    path = folder / SHADOW
    try:
        return Shadow.model_validate_json(path.read_bytes(), extra="ignore")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RegistryError(f"{path} cannot be read: {error.strerror}", path=str(path)) from error
    except ValidationError as error:
        message = f"{path} is no pointer to a shadow: mailweir models shadow VERSION, or --off, writes it anew"
        raise RegistryError(message, path=str(path)) from error


def write_shadow(folder: Path, make: Callable[[], Shadow]) -> Shadow:
    """Point to what `make` makes under the lock; it is on the disk when this returns.

    Raises:
        RegistryError: the folder cannot be written, or the lock is held for too long.
    """
    try:
        with locked(folder / _LOCK):
            made = make()
            replace_file(folder / SHADOW, made.model_dump_json().encode())
            return made
    except OSError as error:
        raise unwritable(folder, error) from error


def remove_shadow(folder: Path) -> bool:
    """Let there be no shadow; False if there was none.

    Raises:
        RegistryError: the folder cannot be written, or the lock is held for too long.
    """
    try:
        with locked(folder / _LOCK):
            (folder / SHADOW).unlink()
            sync(folder)
            return True
    except FileNotFoundError:
        return False
    except OSError as error:
        raise unwritable(folder, error) from error
