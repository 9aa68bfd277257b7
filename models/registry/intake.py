"""A trained bundle becomes a version of the registry: checked, copied, checked again, signed, and put there by one rename."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

from mailweir.models.registry.durable import replace_file, sync, unwritable
from mailweir.models.registry.keys import PrivateKey
from mailweir.models.registry.signature import SIGNATURE, read_signature, sign
from mailweir.models.registry.verify import Trusted, verify_bundle
from mailweir.models.runtime import Bundle
from mailweir.models.runtime.integrity import MANIFEST, manifest_bytes
from mailweir.schemas.errors import BundleError, RegistryError

_THERE = {errno.EEXIST, errno.ENOTEMPTY}


def take_in(source: Path, target: Path, key: PrivateKey | None) -> bool:
    """Copy the bundle in `source` to `target`, signed with `key` if there is one; False if it was there already.

    What the manifest does not name stays behind. A signature that came along stays, unless `key` makes another.

    Raises:
        BundleError: the bundle is broken, or does not answer.
        RegistryError: `target` holds another bundle, or cannot be written.
    """
    found = verify_bundle(source)
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".adding-") as folder:
            made = Path(folder) / target.name
            _copy(source, made, found)
            verify_bundle(made)
            Bundle.load(made)
            return _put(made, target, key)
    except OSError as error:
        raise unwritable(target, error) from error


def _copy(source: Path, made: Path, found: Trusted) -> None:
    made.mkdir()
    signature = [SIGNATURE] if read_signature(source) else []
    for name in [*found.manifest.files, MANIFEST, *signature]:
        shutil.copyfile(source / name, made / name)
        (made / name).chmod(0o444)  # a version never changes
        sync(made / name)


def _put(made: Path, target: Path, key: PrivateKey | None) -> bool:
    if key is not None:
        sign_folder(made, key)
    sync(made)
    try:
        os.rename(made, target)  # noqa: PTH104 - Path.rename would do the same, os.rename names the errors
    except OSError as error:
        if error.errno not in _THERE:
            raise
        _same(made, target)
        if key is not None:
            sign_folder(target, key)
        return False
    sync(target.parent)
    return True


def sign_folder(folder: Path, key: PrivateKey) -> None:
    """Put the signature beside the manifest."""
    made = sign(manifest_bytes(folder), key)
    replace_file(folder / SIGNATURE, made.model_dump_json(indent=1).encode() + b"\n")


def _same(made: Path, target: Path) -> None:
    """The version that is there must be this one, and whole."""
    if manifest_bytes(made) != manifest_bytes(target):
        message = (
            f"{target} is there already with another {MANIFEST}: a version never changes. "
            "A bundle that was trained again has the same version only if it is the same model; keep the one that is there"
        )
        raise RegistryError(message, path=str(target))
    try:
        verify_bundle(target)
    except BundleError as error:
        message = f"{error.message.partition(';')[0]}; remove {target} and add the bundle again"
        raise BundleError(message, path=str(target)) from error
