"""What a reader is told, and what it tells about itself."""

from __future__ import annotations

from dataclasses import dataclass

from mailweir.services.stream.backoff import Backoff

__all__ = ["Progress", "ReaderPlan"]


@dataclass(frozen=True, slots=True)
class ReaderPlan:
    """What a reader is told: who it works for and how long it waits."""

    stage: str
    bootstrap: str  # where the broker is, for messages
    rebalance_wait_ms: int
    backoff: Backoff


@dataclass(slots=True)
class Progress:
    """What health looks at."""

    assigned: bool = False  # the group gave us an assignment, be it empty
    partitions: int = 0  # how many it gave us
    behind: int = 0  # records not yet finished, as far as known
    finished: int = 0  # records whose offsets we committed
    moved_at: float = 0.0  # monotonic seconds when an offset last moved or nothing was left to do
