"""Names of the ledger's files: where a run of offsets is, told by the name alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mailweir.services.stream import Partition

__all__ = ["LEDGER", "SHARDS", "Segment", "Shard", "segment_folder", "segments", "shards"]

LEDGER = "ledger"
"""Folder of the segments, by topic and partition."""

SHARDS = "shards"
"""Folder of the shards and of what was announced about them."""

_DIGITS = 20  # of an offset: names sort as offsets do
_SEGMENT = re.compile(rf"(\d{{{_DIGITS}}})-(\d{{{_DIGITS}}})\.parquet")
_SHARD = re.compile(rf"(.+)-(\d+)-(\d{{{_DIGITS}}})-(\d{{{_DIGITS}}})\.parquet")


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """What one batch brought of one partition."""

    first: int  # offset of its first row
    last: int  # … and of its last
    size: int  # bytes

    def path(self, place: Partition) -> str:
        """Where it lies in the store."""
        return f"{segment_folder(place)}/{self.first:0{_DIGITS}}-{self.last:0{_DIGITS}}.parquet"


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """A closed run of rows of one partition."""

    place: Partition
    first: int  # offset of its first row
    last: int  # … and of its last

    @property
    def shard_id(self) -> str:
        """Follows from topic, partition and offsets."""
        topic, partition = self.place
        return f"{topic}-{partition}-{self.first:0{_DIGITS}}-{self.last:0{_DIGITS}}"

    @property
    def path(self) -> str:
        """Where the rows lie in the store."""
        return f"{SHARDS}/{self.shard_id}.parquet"

    @property
    def announcement(self) -> str:
        """Where the event lies that announced it, once it has."""
        return f"{SHARDS}/{self.shard_id}.json"


def segment_folder(place: Partition) -> str:
    """Where the segments of a partition lie."""
    return f"{LEDGER}/{place[0]}/{place[1]}"


def segments(names: dict[str, int]) -> list[Segment]:
    """The segments among the files of a partition's folder, by offset; temporary files are none."""
    matches = ((_SEGMENT.fullmatch(name), size) for name, size in names.items())
    return sorted(Segment(int(found[1]), int(found[2]), size) for found, size in matches if found)


def shards(names: Iterable[str], place: Partition | None = None) -> list[Shard]:
    """The shards among the files of their folder, by topic, partition and offset; of one partition where it is named."""
    return sorted(shard for shard in _shards(names) if place in (None, shard.place))


def _shards(names: Iterable[str]) -> Iterator[Shard]:
    for name in names:
        if found := _SHARD.fullmatch(name):
            yield Shard((found[1], int(found[2])), int(found[3]), int(found[4]))
