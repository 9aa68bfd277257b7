"""The files of shards: which are read, how much of them, and what is said of the others."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem
from shards import file_shard, shard

from mailweir.schemas.errors import DependencyError, InputError
from mailweir.services.retrain.shards import counter_of


def test_a_file_that_is_gone_or_another_is_told_apart_from_a_store_that_is_away(tmp_path: Path) -> None:
    """Gone, changed and no file are final: one such event must not hold up all runs. A store that is away is tried again."""
    count, file = counter_of(str(tmp_path)), tmp_path / "a.parquet"
    closed = shard(1).model_copy(update={"uri": f"file://{file}", "bytes": 5})
    with pytest.raises(InputError, match="is gone"):
        count(closed)
    file.write_bytes(b"other")
    with pytest.raises(InputError, match="hash differs"):
        count(closed)
    same = closed.model_copy(update={"sha256": hashlib.sha256(b"other").hexdigest()})
    with pytest.raises(InputError, match="Parquet"):
        count(same)
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="is no file"):
        count(closed.model_copy(update={"uri": f"file://{tmp_path}/folder"}))
    away = counter_of("http://127.0.0.1:1/ledger")
    with pytest.raises(DependencyError):
        away(closed.model_copy(update={"uri": "http://127.0.0.1:1/ledger/x"}))


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/hostname",
        "file://{ledger}/../secret.parquet",
        "file://{ledger}/shards/../../secret.parquet",
        "file://{ledger}//etc/hostname",
        "file://{ledger}-other/a.parquet",
        "file://{ledger}/.",
        "file://{ledger}",
        "{ledger}/a.parquet",
        "http://127.0.0.1:1/a.parquet",
        "s3://bucket/a.parquet",
        "simplecache::file://{ledger}/a.parquet",
        "nosuchstore://x",
        "",
    ],
)
def test_nothing_is_read_that_does_not_lie_below_the_ledger(tmp_path: Path, uri: str) -> None:
    """An announcement is anybody's word: other folders, stores and ways up are refused before anything is opened."""
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    real = file_shard(tmp_path, 1, people=10)
    (tmp_path / "shard-1.parquet").rename(tmp_path / "secret.parquet")
    with pytest.raises(InputError, match="is not below the ledger"):
        counter_of(str(ledger))(real.model_copy(update={"uri": uri.format(ledger=ledger)}))


def test_no_more_is_read_than_was_announced_and_no_more_than_a_shard_can_be(tmp_path: Path) -> None:
    """A file that grew, and an announcement of a terabyte: both are final, and neither fills the memory."""
    count, closed = counter_of(str(tmp_path)), file_shard(tmp_path, 1, people=10)
    assert count(closed).human == 10
    with pytest.raises(InputError, match=rf"more than {closed.bytes - 1:,} bytes"):
        count(closed.model_copy(update={"bytes": closed.bytes - 1}))
    for size in (268_435_457, 10**12):
        with pytest.raises(InputError, match=r"at most 268,435,456 are read"):
            count(closed.model_copy(update={"bytes": size}))


def test_the_store_is_asked_for_one_byte_more_than_was_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enough to see that a file grew, and no more, however large it has become."""
    asked: list[tuple[int, int]] = []
    cat = LocalFileSystem.cat_file

    def note(self: LocalFileSystem, path: str, start: int, end: int) -> bytes:
        asked.append((start, end))
        return bytes(cat(self, path, start, end))

    monkeypatch.setattr(LocalFileSystem, "cat_file", note)
    closed = file_shard(tmp_path, 1, people=10)
    assert counter_of(str(tmp_path))(closed).human == 10
    assert asked == [(0, closed.bytes + 1)]
