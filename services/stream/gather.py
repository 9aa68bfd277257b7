"""When a batch closes: on a token budget, a count, bytes, or the age of its oldest mail, whichever comes first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mailweir.services.stream.record import Record

__all__ = ["BatchLimits", "Gatherer", "Weigh"]

Weigh = Callable[[Record], int]
"""Tokens that a record will cost, estimated without parsing it."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """A batch closes at the first of these."""

    mails: int
    tokens: int
    wait_ms: int
    bytes: int


class Gatherer:
    """Collects pulled records into batches. Pure: the caller brings the clock (seconds, monotonic)."""

    def __init__(self, limits: BatchLimits, weigh: Weigh) -> None:
        self._limits = limits
        self._weigh = weigh
        self._waiting: deque[tuple[Record, float]] = deque()  # record, when it came

    def __len__(self) -> int:
        return len(self._waiting)

    def waiting(self) -> list[Record]:
        """What is in no batch yet, oldest first."""
        return [record for record, _ in self._waiting]

    def clear(self) -> None:
        """Drop what waits: its partitions are no longer ours, or it will be read again."""
        self._waiting.clear()

    def add(self, records: Sequence[Record], now: float) -> None:
        """Put pulled records at the end."""
        self._waiting.extend((record, now) for record in records)

    def room(self) -> int:
        """How many more mails the next batch could take."""
        return max(self._limits.mails - len(self._waiting), 0)

    def wait_ms(self, now: float) -> int:
        """How long the next batch may still wait for company; a whole second when there is nothing to wait for."""
        if not self._waiting:
            return 1_000
        age_ms = (now - self._waiting[0][1]) * 1_000
        return max(int(self._limits.wait_ms - age_ms), 0)

    def close(self, now: float) -> list[Record] | None:
        """The next batch if it is due, else None."""
        count, full = self._measure()
        if not count or not (full or self.wait_ms(now) == 0):
            return None
        return [self._waiting.popleft()[0] for _ in range(count)]

    def _measure(self) -> tuple[int, bool]:
        """How many records fit into one batch (at least one), and whether one of its limits is reached."""
        tokens = size = 0
        over = False
        for count, (record, _) in enumerate(self._waiting):
            tokens += self._weigh(record)
            size += len(record.value)
            over = tokens > self._limits.tokens or size > self._limits.bytes
            if count >= self._limits.mails or (count and over):
                return count, True
        return len(self._waiting), over or len(self._waiting) >= self._limits.mails
