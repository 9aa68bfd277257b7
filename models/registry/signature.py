"""`signature.json`: who vouches for a bundle. What is signed are the manifest's bytes, which hold the hash of every other file."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature
from pydantic import Field, ValidationError

from mailweir.models.registry.keys import PrivateKey, PublicKey, key_id
from mailweir.models.runtime.integrity import MANIFEST
from mailweir.schemas.errors import BundleError
from mailweir.schemas.events import Part

SIGNATURE = "signature.json"
_SIGN = "sign it: mailweir models add --key PRIVATE_KEY"


class Signature(Part):
    """The signature of a bundle's manifest."""

    algorithm: Literal["ed25519"] = "ed25519"
    key_id: str = Field(description="First 16 hex digits of the SHA-256 of the public key's 32 bytes.")
    signature: str = Field(description="64 bytes over manifest.json as it is, in base64.")


def sign(manifest: bytes, key: PrivateKey) -> Signature:
    """The signature of a manifest's bytes; the same key gives the same one."""
    made = base64.b64encode(key.sign(manifest)).decode()
    return Signature(key_id=key_id(key.public_key()), signature=made)


def read_signature(folder: Path) -> Signature | None:
    """What is beside the manifest in `folder`, not checked; None if it is not signed.

    Raises:
        BundleError: there is something else in its place.
    """
    path = folder / SIGNATURE
    try:
        return Signature.model_validate_json(path.read_bytes(), extra="ignore")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}; {_SIGN}", path=str(path)) from error
    except ValidationError as error:
        raise BundleError(f"{path} is no signature; {_SIGN}", path=str(path)) from error


def check_signature(folder: Path, manifest: bytes, key: PublicKey) -> None:
    """Raise `BundleError`, naming the file, unless the owner of `key` signed exactly these bytes."""
    path, found, wanted = folder / SIGNATURE, read_signature(folder), key_id(key)
    if found is None:
        raise BundleError(f"{folder} is not signed: it has no {SIGNATURE}; {_SIGN}", path=str(path))
    if found.key_id != wanted:
        message = f"{path} is by the key {found.key_id}; the key that is trusted here is {wanted}"
        raise BundleError(message, path=str(path))
    try:
        key.verify(base64.b64decode(found.signature, validate=True), manifest)
    except (InvalidSignature, binascii.Error) as error:
        changed = folder / MANIFEST
        message = f"{changed} is not what {wanted} signed: the manifest or {SIGNATURE} was changed; restore the folder"
        raise BundleError(message, path=str(changed)) from error
