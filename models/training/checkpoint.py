"""Checkpoints on disk: written beside, then renamed, so that a kill or a power cut leaves the old one or the new one."""

import os
import pickle
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch

from mailweir.models.registry.durable import sync
from mailweir.schemas.errors import InputError


def write_checkpoint(file: Path, state: dict[str, Any]) -> None:
    """Replace `file` by `state`; it is on the disk when this returns.

    Raises:
        OSError: such as ENOSPC; what was there before stays.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")  # one name: what kills leave behind is one file, of hundreds of megabytes
    try:
        with fresh.open("wb") as stream:  # given a path instead, torch tells a full disk as a RuntimeError
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(file)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    sync(file.parent)


def read_checkpoint(file: Path) -> dict[str, Any]:
    """What was written.

    Raises:
        InputError: the file is damaged or no checkpoint; the message names it and what to do.
    """
    try:
        with ZipFile(file) as archive:  # torch would try to read anything else as a pickle
            damaged = archive.testzip()
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except (BadZipFile, RuntimeError, OSError, pickle.UnpicklingError) as error:
        raise InputError(f"{file} is no checkpoint ({error}): delete it to start anew", path=str(file)) from error
    if damaged:
        raise InputError(f"{file} is no checkpoint ({damaged} is damaged): delete it to start anew", path=str(file))
    return state
