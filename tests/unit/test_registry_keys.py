"""Signatures: a worker that trusts a key takes what its owner signed, byte for byte, and nothing else."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from bundles import stocked, version_of

from mailweir.models.registry import (
    SIGNATURE,
    Registry,
    key_id,
    make_keys,
    read_private,
    read_public,
    read_signature,
    verify_bundle,
)
from mailweir.models.runtime.integrity import MANIFEST
from mailweir.schemas.errors import BundleError, RegistryError
from mailweir.schemas.events import ModelRef

FILES = ("MODEL_CARD.md", "model.onnx", "tokenizer.json", MANIFEST, SIGNATURE)


@pytest.fixture
def signed(tmp_path: Path, tiny: Path) -> Path:
    """A signed version in a registry; the key lies in `tmp_path`/key."""
    make_keys(tmp_path / "key")
    registry = Registry(tmp_path / "registry")
    return registry.add(version_of(tiny, tmp_path, "1.a"), read_private(tmp_path / "key"))[0].folder


def test_the_private_key_is_its_owners_alone(tmp_path: Path) -> None:
    """Mode 0600 from the start, and never overwritten."""
    public, key = make_keys(tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert public == tmp_path / "key.pub"
    assert key_id(read_public(public)) == key_id(key) == key_id(read_private(tmp_path / "key").public_key())
    before = (tmp_path / "key").read_bytes()
    with pytest.raises(RegistryError, match="keys are never overwritten"):
        make_keys(tmp_path / "key")
    public.unlink()
    with pytest.raises(RegistryError, match="keys are never overwritten"):
        make_keys(tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == before


def test_a_file_that_holds_another_key_is_refused(tmp_path: Path) -> None:
    """The wrong half of the pair, another kind, rubbish, nothing: each is told, without a byte of the file."""
    public, _ = make_keys(tmp_path / "key")
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "X25519", "-out", tmp_path / "x"], check=True, capture_output=True
    )
    with pytest.raises(RegistryError, match=r"holds a private key, which no worker should have: .*key\.pub"):
        read_public(tmp_path / "key")
    with pytest.raises(RegistryError, match="holds no private key"):
        read_private(public)
    with pytest.raises(RegistryError, match="that is not ed25519"):
        read_private(tmp_path / "x")
    (tmp_path / "rubbish").write_bytes(b"-----BEGIN PRIVATE KEY-----\nSECRET\n")
    with pytest.raises(RegistryError, match="holds no private key that can be read") as caught:
        read_private(tmp_path / "rubbish")
    assert "SECRET" not in caught.value.message
    with pytest.raises(RegistryError, match="No such file"):
        read_public(tmp_path / "none")


def test_a_signed_bundle_is_believed(tmp_path: Path, signed: Path) -> None:
    """With the key, and without one; the signature names the key and no file holds the private one."""
    key = read_public(tmp_path / "key.pub")
    assert verify_bundle(signed, key) == verify_bundle(signed)
    signature = read_signature(signed)
    assert signature
    assert signature.key_id == key_id(key)


def test_the_signature_is_one_that_openssl_checks(tmp_path: Path, signed: Path) -> None:
    """Plain ed25519 over the file as it is: nobody needs our code to verify a bundle."""
    import base64

    (tmp_path / "raw").write_bytes(base64.b64decode(json.loads((signed / SIGNATURE).read_bytes())["signature"]))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", tmp_path / "key.pub", "-rawin"]
    done = subprocess.run(
        [*command, "-in", signed / MANIFEST, "-sigfile", tmp_path / "raw"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", FILES)
def test_every_changed_file_is_named(tmp_path: Path, signed: Path, name: str) -> None:
    """One byte of any file."""
    key, path = read_public(tmp_path / "key.pub"), signed / name
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    place = (
        content.index(b"1") if name == MANIFEST else content.index(b'"signature": "') + 20 if name == SIGNATURE else 0
    )
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError) as caught:
        verify_bundle(signed, key)
    assert (path.name if name != SIGNATURE else SIGNATURE) in caught.value.message
    with pytest.raises(BundleError):
        Registry(tmp_path / "registry", key).promote(
            ModelRef(name="email", version="1.a"), expected=None, cause="x", by="ann"
        )


@pytest.mark.parametrize("name", FILES)
def test_every_missing_file_is_named(tmp_path: Path, signed: Path, name: str) -> None:
    """Any of them."""
    (signed / name).unlink()
    with pytest.raises(BundleError, match=name):
        verify_bundle(signed, read_public(tmp_path / "key.pub"))


def test_a_changed_file_with_its_new_hash_is_caught_by_the_signature(tmp_path: Path, signed: Path) -> None:
    """Whoever can write the folder can make the hashes right again, but not the signature."""
    from mailweir.models.runtime.integrity import describe_file

    for name in ("MODEL_CARD.md", MANIFEST):
        (signed / name).chmod(0o644)
    (signed / "MODEL_CARD.md").write_text("a better model")
    manifest = json.loads((signed / MANIFEST).read_bytes())
    manifest["files"]["MODEL_CARD.md"] = describe_file(signed / "MODEL_CARD.md").model_dump()
    (signed / MANIFEST).write_text(json.dumps(manifest))
    verify_bundle(signed)
    with pytest.raises(BundleError, match=r"manifest\.json is not what [0-9a-f]{16} signed"):
        verify_bundle(signed, read_public(tmp_path / "key.pub"))


def test_another_key_and_none_are_refused(tmp_path: Path, tiny: Path, signed: Path) -> None:
    """Both keys are named; a bundle without a signature says how it gets one."""
    make_keys(tmp_path / "other")
    theirs = read_public(tmp_path / "other.pub")
    with pytest.raises(
        BundleError, match=rf"is by the key [0-9a-f]{{16}}; the key that is trusted here is {key_id(theirs)}"
    ):
        verify_bundle(signed, theirs)
    registry = stocked(tmp_path, tiny, "1.b")
    with pytest.raises(
        BundleError, match=r"is not signed: it has no signature\.json; sign it: mailweir models add --key"
    ):
        verify_bundle(registry.entry("email", "1.b").folder, theirs)


def test_a_version_that_is_there_can_be_signed_later(tmp_path: Path, tiny: Path) -> None:
    """Adding the same bundle again with a key puts the signature beside it."""
    make_keys(tmp_path / "key")
    registry = stocked(tmp_path, tiny, "1.b")
    entry, new = registry.add(tmp_path / "made-1.b", read_private(tmp_path / "key"))
    assert (new, entry.signature is not None) == (False, True)
    verify_bundle(entry.folder, read_public(tmp_path / "key.pub"))
