"""The ledger on a folder: whole files, never replaced; what it holds is learned from names; shards close once and are announced."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from loop import row
from s3 import bucket

from mailweir.models.feedback import read_rows, write_rows
from mailweir.schemas.errors import DependencyError, SettingsError
from mailweir.schemas.events import utc_now
from mailweir.services.feedback.ledger import Ledger, Pages, all_rows
from mailweir.services.feedback.names import Segment, Shard, segments, shards
from mailweir.services.feedback.shards import ShardLimits, announcement
from mailweir.services.feedback.store import Store

PLACE = ("mail.feedback", 0)
EVER = 10**9
LIMITS = ShardLimits(rows=4, size=10**6, age=timedelta(hours=1))


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store on a folder, on another file system of fsspec, and on an S3-compatible server."""
    if request.param == "s3":
        with bucket(monkeypatch) as uri:
            yield Store(f"{uri}/ledger")
        return
    yield Store(str(tmp_path / "ledger") if request.param == "folder" else f"memory://{uuid4().hex}/ledger")


@pytest.fixture
def ledger(store: Store) -> Ledger:
    """An empty ledger."""
    return Ledger(store)


def appended(ledger: Ledger, *batches: range) -> Pages:
    """The ledger after these batches of offsets."""
    pages = ledger.turn_to(PLACE)
    for batch in batches:
        ledger.append(pages, [row(offset) for offset in batch])
    return pages


def test_a_file_is_created_once_and_never_replaced(store: Store) -> None:
    """The second writer is told, and the first one's bytes stay."""
    assert store.create("a/b/c.parquet", b"one")
    assert not store.create("a/b/c.parquet", b"two")
    assert store.read("a/b/c.parquet") == b"one"
    assert store.names("a/b") == {"c.parquet": 3}
    assert store.tree("a", ".parquet") == ["a/b/c.parquet"]
    assert utc_now() - store.written_at("a/b/c.parquet") < timedelta(minutes=1)


def test_what_is_not_there_is_nothing_or_a_store_that_is_away(store: Store) -> None:
    """A folder that nobody wrote to is empty; a file that should be there is missed."""
    assert store.names("nowhere") == {}
    assert store.tree("nowhere", ".parquet") == []
    with pytest.raises(DependencyError, match=r"cannot read nowhere/x in the ledger"):
        store.read("nowhere/x")


def test_temporary_files_are_no_part_of_it(tmp_path: Path) -> None:
    """A worker that was killed while it wrote leaves one behind; nobody takes it for a segment."""
    ledger = Ledger(Store(str(tmp_path)))
    appended(ledger, range(3))
    folder = tmp_path / "ledger" / "mail.feedback" / "0"
    assert [path.name for path in folder.iterdir()] == [f"{0:020}-{2:020}.parquet"]
    (folder / f".{3:020}-{9:020}.parquet.0badcafe.tmp").write_bytes(b"half")
    assert ledger.turn_to(PLACE).last == 2
    assert len(all_rows(ledger.store)) == 3


def test_a_ledger_that_cannot_be_opened_is_refused_by_name() -> None:
    """An unknown protocol, or one whose package is not installed."""
    with pytest.raises(SettingsError, match="MAILWEIR_LEDGER=nonsense://x cannot be opened"):
        Store("nonsense://x")


def test_a_folder_that_cannot_be_written_is_a_store_that_is_away(tmp_path: Path) -> None:
    """A file stands where the folder should be: held and retried, with the address in the message."""
    (tmp_path / "ledger").write_text("")
    ledger = Ledger(Store(str(tmp_path)))
    with pytest.raises(DependencyError, match=str(tmp_path)):
        ledger.append(Pages(PLACE), [row(1)])


def test_after_a_restart_the_names_say_what_is_durable(ledger: Ledger) -> None:
    """Other batch boundaries than before: every offset with a row is known, the others are not, though they lie between."""
    appended(ledger, range(5), range(7, 10))
    pages = ledger.turn_to(PLACE)
    assert (pages.last, pages.rows, pages.sharded) == (9, 8, -1)
    assert ledger.held(pages, range(3, 15)) == {3, 4, 7, 8, 9}
    assert ledger.held(pages, range(10, 15)) == set()
    assert ledger.turn_to(("mail.feedback", 1)).last == -1


def test_the_same_batch_twice_is_one_file(ledger: Ledger) -> None:
    """A write whose answer was lost is repeated without effect."""
    pages = appended(ledger, range(5), range(5))
    assert (len(pages.segments), pages.rows) == (1, 5)
    assert len(all_rows(ledger.store)) == 5


def test_another_workers_file_of_the_same_name_is_kept_and_looked_at_again(ledger: Ledger) -> None:
    """What it holds may differ: nothing is overwritten, the batch is held and finds it the next time."""
    pages = ledger.turn_to(PLACE)
    appended(ledger, range(3))
    with pytest.raises(DependencyError, match="by another worker"):
        ledger.append(pages, [row(0), row(2)])
    assert ledger.held(ledger.turn_to(PLACE), range(3)) == {0, 1, 2}


def test_a_late_writer_doubles_no_row(ledger: Ledger) -> None:
    """It lost the partition and wrote a range that overlaps: readers and shards hold each place once."""
    appended(ledger, range(4), range(4, 8))
    late = Pages(PLACE)
    ledger.append(late, [row(offset) for offset in range(2, 6)])
    pages = ledger.turn_to(PLACE)
    assert pages.rows == 8
    assert [one.offset for one in all_rows(ledger.store)] == list(range(8))
    assert ledger.close(pages, EVER, 8) == (Shard(PLACE, 0, 7), False)
    data = ledger.store.read(Shard(PLACE, 0, 7).path)
    assert data == write_rows([row(offset) for offset in range(8)])


@pytest.mark.parametrize(
    ("rows", "size", "age", "cause"),
    [
        (0, 10**9, 7_200, None),
        (3, 10, 10, None),
        (4, 10, 10, "count"),
        (1, 10**6, 10, "bytes"),
        (1, 10, 3_600, "age"),
    ],
)
def test_a_shard_is_due_by_count_bytes_or_age(rows: int, size: int, age: int, cause: str | None) -> None:
    """Whichever comes first; never an empty one."""
    now = utc_now()
    pages = Pages(PLACE, [Segment(0, 9, size)], rows=rows, since=now - timedelta(seconds=age))
    assert LIMITS.reached(pages, now) == cause


def test_a_shard_takes_what_is_committed_and_the_next_one_the_rest(ledger: Ledger) -> None:
    """Behind the commit a batch may come back and bring more; nothing is taken twice."""
    pages = appended(ledger, range(5), range(5, 9))
    assert ledger.close(pages, 3, 4) == (Shard(PLACE, 0, 2), False)
    assert (pages.rows, pages.sharded) == (6, 2)
    assert ledger.close(pages, 3, 4) is None
    assert ledger.close(pages, EVER, 4) == (Shard(PLACE, 3, 8), False)
    assert ledger.close(pages, EVER, 4) is None
    assert len(all_rows(ledger.store)) == 9  # the ledger is append-only


def test_a_backlog_makes_shards_of_about_the_right_size(ledger: Ledger) -> None:
    """Whole files until there are enough."""
    pages = appended(ledger, *(range(at, at + 3) for at in range(0, 18, 3)))
    closed = []
    while found := ledger.close(pages, EVER, 4):
        closed.append((found[0].first, found[0].last))
    assert closed == [(0, 5), (6, 11), (12, 17)]


def test_a_shard_has_one_taxonomy(ledger: Ledger) -> None:
    """Where the label space changes the shard ends, and says that there is more."""
    pages = ledger.turn_to(PLACE)
    ledger.append(pages, [row(0), row(1), row(2, taxonomy_version=2), row(3)])
    ends = [ledger.close(pages, EVER, 9) for _ in range(4)]
    assert [found and (found[0].first, found[0].last, found[1]) for found in ends] == [
        (0, 1, True),
        (2, 2, True),
        (3, 3, False),
        None,
    ]


def test_a_crash_between_shard_and_announcement_is_seen(ledger: Ledger) -> None:
    """A shard without its note is announced after a restart, in the same words; one with it is not."""
    pages = appended(ledger, range(4))
    closed = ledger.close(pages, EVER, 4)
    assert closed
    [shard] = ledger.turn_to(PLACE).unannounced
    event = announcement(ledger.store, shard, LIMITS)
    assert (event.shard_id, event.rows, event.cause) == (f"mail.feedback-0-{0:020}-{3:020}", 4, "count")
    data = ledger.store.read(shard.path)
    assert (event.sha256, event.bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    assert event.uri.endswith(f"ledger/{shard.path}")
    assert announcement(ledger.store, shard, LIMITS) == event
    ledger.store.create(shard.announcement, event.encode())
    again = ledger.turn_to(PLACE)
    assert (again.unannounced, again.sharded, again.rows) == ([], 3, 0)
    assert read_rows(data, "x") == [row(offset) for offset in range(4)]


def test_names_are_read_back() -> None:
    """Topics with dashes, and whatever else lies in a folder."""
    shard = Shard(("my-mail.feedback", 12), 3, 40)
    assert shards([f"{shard.shard_id}.parquet", f"{shard.shard_id}.json", "notes.txt"]) == [shard]
    assert shards([f"{shard.shard_id}.parquet"], ("mail.feedback", 12)) == []
    assert segments({f"{1:020}-{5:020}.parquet": 9, "1-5.parquet": 9, ".x.tmp": 1}) == [Segment(1, 5, 9)]
