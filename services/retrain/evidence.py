"""From a history and the files of its shards to the evidence of a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mailweir.schemas.errors import InputError
from mailweir.schemas.events import ShardClosed
from mailweir.services.retrain.counts import CountShard, ShardCounts
from mailweir.services.retrain.policy import Evidence
from mailweir.services.retrain.request import Champion
from mailweir.services.runs.contexts import shard_log_context
from mailweir.services.runs.history import History
from mailweir.services.telemetry import logger

__all__ = ["CountedShard", "Counter", "gather"]

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class CountedShard:
    """A shard, its figures, and whether a run has learned from it."""

    shard: ShardClosed
    counts: ShardCounts
    learned: bool


class Counter:
    """Counts each shard once. Blocking: files are read."""

    def __init__(self, count: CountShard) -> None:
        self._count = count
        self._known: dict[tuple[str, str], ShardCounts] = {}  # by id and hash
        self.unreadable: set[str] = set()  # ids of shards whose file is gone or no shard

    def of(self, shard: ShardClosed) -> ShardCounts | None:
        """The figures of a shard; None if its file cannot be read, now or ever.

        Raises:
            DependencyError: the store is away.
        """
        known = self._known.get((shard.shard_id, shard.sha256))
        if known is not None:
            return known
        try:
            counts = self._count(shard)
        except InputError as error:
            if shard.shard_id not in self.unreadable:
                log.warning("shard_unreadable", error=error.message, **shard_log_context(shard.shard_id))
            self.unreadable.add(shard.shard_id)
            return None
        self.unreadable.discard(shard.shard_id)
        self._known[shard.shard_id, shard.sha256] = counts
        return counts


def gather(
    history: History, counter: Counter, champion: Champion, now: datetime
) -> tuple[Evidence, list[CountedShard]]:
    """What the policy judges by, and the shards that a run would name: all that can be read, the old ones as well.

    A run starts from the champion and learns from every word that is kept: the old ones hold what it must not forget.
    """
    learned = history.learned
    counted = [
        CountedShard(shard, counts, (shard.shard_id, shard.sha256) in learned)
        for shard in history.shards_of(champion.taxonomy)
        if (counts := counter.of(shard)) is not None
    ]
    open_run, setbacks = history.open_run(now), history.setbacks
    evidence = Evidence(
        now,
        counted,
        open_run.request.run_id if open_run else None,
        history.paused_since,
        len(setbacks),
        setbacks[0].finished_at if setbacks else None,
        history.promoted_at,
    )
    return evidence, counted
