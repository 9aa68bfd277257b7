"""A manifest that is none is told in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mailweir.models.runtime import shipped_bundle
from mailweir.models.runtime.integrity import MANIFEST, read_manifest
from mailweir.schemas.errors import BundleError


def _shipped(**changes: Any) -> bytes:
    manifest = json.loads((shipped_bundle() / MANIFEST).read_bytes())
    return json.dumps(manifest | changes).encode()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"{}",
            "lacks model, taxonomy, files, input, heads, languages, base, quantization, created_at; is it a bundle",
        ),
        (_shipped(model={"name": "email"}), "lacks model.version; is it a bundle of another version?"),
        (_shipped(policy_version=0), "has a wrong policy_version (Input should be greater than or equal to 1); is it"),
        (
            _shipped(policy_version=0, input={}),
            "lacks input.max_tokens, input.pad_id, input.unknown_id and has a wrong ",
        ),
        (_shipped(files={f"f{number:02}": {"size": 1} for number in range(12)}), "f09.sha256 and 2 more; is it a "),
        (b"[]", "has a wrong value (Input should be an object)"),
        (b'{"model":', "is no JSON (EOF while parsing a value at line 1 column 9)"),
        (b"\xff\xfe", "is no JSON ("),
    ],
    ids=["empty", "part", "value", "both", "many", "list", "cut", "bytes"],
)
def test_a_manifest_that_does_not_fit_is_told_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    """What it lacks and what is wrong in it, by name, then the remedy; no stanza for every field."""
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(BundleError) as caught:
        read_manifest(tmp_path)
    assert caught.value.message.startswith(f"{tmp_path / MANIFEST} ")
    assert said in caught.value.message
    assert caught.value.message.endswith("restore the folder or train a new bundle: mailweir train")
    assert len(caught.value.message.splitlines()) == 1


def test_a_manifest_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    """A folder in its place: the system's own words, without errno."""
    (tmp_path / MANIFEST).mkdir()
    with pytest.raises(BundleError, match=r"manifest\.json cannot be read: Is a directory; restore"):
        read_manifest(tmp_path)


def test_a_later_versions_field_is_no_obstacle(tmp_path: Path) -> None:
    """Readers ignore what they do not know."""
    (tmp_path / MANIFEST).write_bytes(_shipped(invented=1))
    assert read_manifest(tmp_path) == read_manifest(shipped_bundle())
