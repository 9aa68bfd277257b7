"""Proof that nothing was skipped: the first offset of an assignment is the committed one, and then there is no hole."""

from __future__ import annotations

from dataclasses import dataclass

from mailweir.services.stream.record import Partition, Record

__all__ = ["Gap", "Sequence"]


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets that were expected and did not come."""

    place: Partition
    expected: int  # first missing offset
    found: int  # offset that came instead

    @property
    def missing(self) -> int:
        """How many offsets are missing; negative when the reader went back, which loses nothing."""
        return self.found - self.expected


class Sequence:
    """The next offset of every assigned partition. Pure: it neither reads nor waits."""

    def __init__(self) -> None:
        self._next: dict[Partition, int] = {}

    def clear(self) -> None:
        """Forget all: a new assignment begins."""
        self._next.clear()

    def knows(self, place: Partition) -> bool:
        """True once the partition's first offset has been set."""
        return place in self._next

    def begin(self, place: Partition, committed: int) -> None:
        """Expect `committed` as the partition's first offset, unless it has begun already."""
        self._next.setdefault(place, committed)

    def advance(self, record: Record) -> Gap | None:
        """Expect the offset after `record`; the gap before it, if there is one."""
        expected = self._next[record.place]
        self._next[record.place] = record.offset + 1
        return None if record.offset == expected else Gap(record.place, expected, record.offset)
