"""The ledger: rows of a batch become one file per partition, once. What it holds is learned from the names of its files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mailweir.models.feedback import FeedbackRow, offsets, once, read_rows, withdrawals, write_rows
from mailweir.schemas.errors import DependencyError
from mailweir.schemas.events import utc_now
from mailweir.services.feedback.names import LEDGER, SHARDS, Segment, Shard, segment_folder, segments, shards
from mailweir.services.feedback.store import Store
from mailweir.services.stream import Partition

__all__ = ["Ledger", "Pages", "all_rows"]


@dataclass(slots=True)
class Pages:
    """What the ledger holds of one partition."""

    place: Partition
    segments: list[Segment] = field(default_factory=list)  # all, by offset
    sharded: int = -1  # last offset that is in a shard
    rows: int = 0  # not yet in a shard
    withdrawals: bool = False  # somebody's words were taken back in their name, and no shard says so yet
    since: datetime | None = None  # when the oldest of these was written
    unannounced: list[Shard] = field(default_factory=list)

    @property
    def last(self) -> int:
        """The last durable offset; what lies behind it is not in the ledger."""
        return max((segment.last for segment in self.segments), default=-1)

    @property
    def open(self) -> list[Segment]:
        """Segments with rows that are in no shard."""
        return [segment for segment in self.segments if segment.last > self.sharded]

    @property
    def size(self) -> int:
        """Bytes of what is in no shard."""
        return sum(segment.size for segment in self.open)


class Ledger:
    """Blocking: an agent calls it in a thread, one call at a time."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def turn_to(self, place: Partition) -> Pages:
        """Learn what there is of a partition: after each assignment, since another worker may have had it."""
        there = self.store.names(SHARDS)
        closed = shards(there, place)
        pages = Pages(place, segments(self.store.names(segment_folder(place))))
        pages.sharded = max((shard.last for shard in closed), default=-1)
        pages.unannounced = [shard for shard in closed if shard.announcement.rpartition("/")[2] not in there]
        self._count(pages)
        return pages

    def held(self, pages: Pages, asked: Collection[int]) -> set[int]:
        """Those of the offsets that have a row. Reads files only for what was written and not committed before a restart."""
        low = [offset for offset in asked if offset <= pages.last]
        found: set[int] = set()
        for segment in pages.segments if low else ():
            if segment.first <= max(low) and min(low) <= segment.last:
                path = segment.path(pages.place)
                found.update(offsets(self.store.read(path), path))
        return found & set(low)

    def append(self, pages: Pages, rows: Sequence[FeedbackRow]) -> None:
        """Make the rows durable, in one file.

        Raises:
            DependencyError: the store is away, or another worker wrote other rows under the same name: turn to it again.
        """
        data = write_rows(rows)
        numbers = [row.offset for row in rows]
        segment = Segment(min(numbers), max(numbers), len(data))
        path = segment.path(pages.place)
        if not self.store.create(path, data) and self.store.read(path) != data:
            raise DependencyError(f"{path} was written by another worker meanwhile; what it holds is looked at again")
        if segment not in pages.segments:
            pages.segments = sorted([*pages.segments, segment])
            pages.rows += len(rows)
            pages.withdrawals |= any(row.by_another for row in rows)
            pages.since = pages.since or utc_now()

    def close(self, pages: Pages, below: int, most: int) -> tuple[Shard, bool] | None:
        """Make a shard of the oldest rows that are in none, all of one taxonomy and with offsets below `below`.

        It takes as many files as it takes to have `most` rows, and every file that reaches back among them. Returns the shard and whether a change of taxonomy ended it; None if there is no such row. Files stay where they are.
        """
        rows = [row for row in self._open_rows(pages, most) if row.offset < below]
        alike = _until_change(rows)
        if not alike:
            return None
        shard = Shard(pages.place, alike[0].offset, alike[-1].offset)
        self.store.create(shard.path, write_rows(alike))  # one that is there holds the same rows, or a late worker's
        pages.sharded = shard.last
        pages.unannounced.append(shard)
        self._count(pages)
        return shard, len(alike) < len(rows)

    def _open_rows(self, pages: Pages, most: int) -> list[FeedbackRow]:
        """One per place; of two files with the same place the first by name counts."""
        rows: list[FeedbackRow] = []
        for segment in pages.open:
            if len(rows) >= most and segment.first > rows[-1].offset:
                break
            rows = once([*rows, *self._read(pages.place, [segment])])
            rows = [row for row in rows if row.offset > pages.sharded]
        return rows

    def _read(self, place: Partition, chosen: Iterable[Segment]) -> Iterable[FeedbackRow]:
        for segment in chosen:
            path = segment.path(place)
            yield from read_rows(self.store.read(path), path)

    def _count(self, pages: Pages) -> None:
        paths = [segment.path(pages.place) for segment in pages.open]
        files = {path: self.store.read(path) for path in paths}
        numbers = {offset for path, data in files.items() for offset in offsets(data, path)}
        pages.rows = sum(offset > pages.sharded for offset in numbers)
        pages.withdrawals = any(withdrawals(data, path) for path, data in files.items())
        pages.since = self.store.written_at(paths[0]) if paths else None


def all_rows(store: Store) -> list[FeedbackRow]:
    """Everything that a ledger holds, one row per place: of two files with the same place the first by name counts."""
    rows: list[FeedbackRow] = []
    for path in store.tree(LEDGER, ".parquet"):
        rows += read_rows(store.read(path), path)
    return once(rows)


def _until_change(rows: Sequence[FeedbackRow]) -> list[FeedbackRow]:
    """The rows before the first of another taxonomy."""
    spaces = [(row.taxonomy_name, row.taxonomy_version) for row in rows]
    end = next((at for at, space in enumerate(spaces) if space != spaces[0]), len(rows))
    return list(rows[:end])
