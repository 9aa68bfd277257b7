"""Pointer and history of a registry: what a crash, a full disk or a spoilt file leaves of them."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from bundles import champions, promote, stocked

from mailweir.models.registry import pointer
from mailweir.schemas.errors import RegistryError


@pytest.mark.parametrize("left", [b"", b'{"number": 2, "act', None], ids=["nothing", "half a line", "no file"])
def test_a_crash_between_pointer_and_history_loses_no_entry(tmp_path: Path, tiny: Path, left: bytes | None) -> None:
    """The pointer holds the entry: it is read as if it were there, and written before the next."""
    registry = stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    history = registry.root / "email" / "history.jsonl"
    before = history.read_bytes()
    promote(registry, "1.b")
    if left is None:
        history.unlink()
    else:
        history.write_bytes(before + left)
    read = [2] if left is None else [1, 2]
    assert [number for number, *_ in champions(registry)] == read
    promote(registry, "1.a")
    assert [number for number, *_ in champions(registry)] == [*read, 3]
    assert [json.loads(line)["number"] for line in history.read_text().splitlines()] == [*read, 3]


def test_a_promotion_that_fails_before_the_pointer_never_happened(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pointer is written first: a history of promotions that nobody serves would be read as one of champions."""
    registry = stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    before = champions(registry)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(pointer, "replace_file", full)
        with pytest.raises(RegistryError, match="No space left"):
            promote(registry, "1.b")
    assert champions(registry) == before
    promote(registry, "1.b")
    assert [number for number, *_ in champions(registry)] == [1, 2]


def test_a_pointer_that_is_gone_is_not_taken_for_a_beginning(tmp_path: Path, tiny: Path) -> None:
    """A worker that starts now would serve another bundle than those that run: an error that says where the entry is."""
    registry = stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    promote(registry, "1.b")
    pointer = registry.root / "email" / "champion.json"
    pointer.unlink()
    with pytest.raises(
        RegistryError, match=r"champion\.json is gone, and history\.jsonl tells of a champion: put its last line"
    ):
        registry.champion("email")
    pointer.write_bytes((registry.root / "email" / "history.jsonl").read_bytes().splitlines()[-1])
    promote(registry, "1.a")
    assert champions(registry) == [(1, "promoted", "1.a"), (2, "promoted", "1.b"), (3, "promoted", "1.a")]


def test_a_spoilt_history_or_pointer_is_named(tmp_path: Path, tiny: Path) -> None:
    """File and line."""
    registry = stocked(tmp_path, tiny, "1.a", "1.b")
    promote(registry, "1.a")
    history, pointer = (registry.root / "email" / name for name in ("history.jsonl", "champion.json"))
    history.write_bytes(b"rubbish\n" + history.read_bytes())
    with pytest.raises(RegistryError, match=rf"{history}:1 is no entry"):
        promote(registry, "1.b")
    pointer.write_text("{}")
    with pytest.raises(RegistryError, match=f"{pointer} is no pointer to a champion"):
        registry.champion("email")
