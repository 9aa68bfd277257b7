"""The key pair that bundles are signed with: ed25519 (RFC 8032), in the PEM files that openssl reads and writes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from mailweir.schemas.errors import RegistryError

PrivateKey = Ed25519PrivateKey
PublicKey = Ed25519PublicKey

_MAKE = "make a pair: mailweir models keygen"
_PRIVATE_MARK = b"PRIVATE KEY-----"


def key_id(key: PublicKey) -> str:
    """A name for a public key that fits a line: 16 hex digits of the SHA-256 of its 32 bytes."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def make_keys(private: Path) -> tuple[Path, PublicKey]:
    """Write a new pair: `private` for its owner alone (mode 0600), and beside it `private`.pub for workers.

    Raises:
        RegistryError: one of the files is there already, or the folder cannot be written.
    """
    key, public = Ed25519PrivateKey.generate(), private.with_name(private.name + ".pub")
    if public.exists():
        raise RegistryError(f"{public} is there already: name another file, keys are never overwritten")
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write_new(private, secret, 0o600)
    _write_new(public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644)
    return public, key.public_key()


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        # the mode at creation: at no time may others read it
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
            stream.write(content)
    except FileExistsError as error:
        message = f"{path} is there already: name another file, keys are never overwritten"
        raise RegistryError(message, path=str(path)) from error
    except OSError as error:
        raise RegistryError(f"{path}: {error.strerror}: name a file that can be written", path=str(path)) from error


def read_private(path: Path) -> PrivateKey:
    """The private key in a PEM file without a password.

    Raises:
        RegistryError: there is none; the message holds nothing of the file.
    """
    content = _read(path)
    if _PRIVATE_MARK not in content:
        raise RegistryError(f"{path} holds no private key; {_MAKE}", path=str(path))
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it has a password
        message = f"{path} holds no private key that can be read without a password; {_MAKE}"
        raise RegistryError(message, path=str(path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise RegistryError(f"{path} holds a private key that is not ed25519; {_MAKE}", path=str(path))
    return key


def read_public(path: Path) -> PublicKey:
    """The public key in a PEM file.

    Raises:
        RegistryError: there is none, or it is the private one, which no worker should have.
    """
    content = _read(path)
    if _PRIVATE_MARK in content:
        message = f"{path} holds a private key, which no worker should have: give it the public one, {path.name}.pub"
        raise RegistryError(message, path=str(path))
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise RegistryError(f"{path} holds no public key; {_MAKE}", path=str(path)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise RegistryError(f"{path} holds a public key that is not ed25519; {_MAKE}", path=str(path))
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RegistryError(f"{path}: {error.strerror}: name the file of a key, or {_MAKE}", path=str(path)) from error
