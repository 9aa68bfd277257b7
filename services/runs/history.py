"""What the topics tell: which shards there are, which runs were asked for and how they ended. Pure, in the order of the log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile

from mailweir.schemas.events import RetrainFinished, RetrainRequested, ShardClosed, TaxonomyRef

__all__ = ["History", "Run"]


@dataclass(slots=True)
class Run:
    """A training run."""

    request: RetrainRequested
    end: RetrainFinished | None = None

    @property
    def learned(self) -> bool:
        """True if the gate has judged what came of it: its shards were used. One that failed has taught nothing."""
        return self.end is not None and self.end.outcome != "failed"

    def open_at(self, now: datetime, timeout: timedelta) -> bool:
        """Whether it goes on at that time; one that never ends is given up after `timeout`."""
        return self.end is None and now - self.request.requested_at < timeout


@dataclass(slots=True)
class History:
    """All shards and runs of the log. The same log gives the same history, whoever reads it and how often."""

    timeout: timedelta
    shards: dict[str, ShardClosed] = field(default_factory=dict)  # by id, the last word about each
    runs: dict[str, Run] = field(default_factory=dict)  # by id, in the order of the requests
    void: list[RetrainRequested] = field(default_factory=list)  # asked for while another went on: nobody runs them

    def closed(self, shard: ShardClosed) -> None:
        """A shard was announced, or announced again."""
        self.shards[shard.shard_id] = shard

    def requested(self, request: RetrainRequested) -> None:
        """A run was asked for. The same run asked for again is the same; of two at once the first in the log counts."""
        if request.run_id in self.runs:
            return
        if self.open_run(request.requested_at) is not None:
            self.void.append(request)
        else:
            self.runs[request.run_id] = Run(request)

    def finished(self, end: RetrainFinished) -> None:
        """A run ended; its first end counts, and one that nobody asked for is none."""
        run = self.runs.get(end.run_id)
        if run is not None and run.end is None:
            run.end = end

    def open_run(self, now: datetime) -> Run | None:
        """The run that goes on."""
        return next((run for run in reversed(self.runs.values()) if run.open_at(now, self.timeout)), None)

    @property
    def last(self) -> Run | None:
        """The run that was asked for last."""
        return next(reversed(self.runs.values()), None)

    @property
    def setbacks(self) -> list[RetrainFinished]:
        """The latest runs in a row that failed at how their machine is set up, the last one first."""
        ends = (run.end for run in reversed(self.runs.values()))
        return [end for end in takewhile(lambda end: end is not None and end.setup_failed, ends) if end is not None]

    @property
    def paused_since(self) -> datetime | None:
        """When the last run was asked for that could be carried out, or still may: the pause until the next counts from it."""
        runs = (run for run in reversed(self.runs.values()) if not (run.end and run.end.setup_failed))
        return next((run.request.requested_at for run in runs), None)

    @property
    def learned(self) -> frozenset[tuple[str, str]]:
        """Id and hash of every shard that a run has learned from."""
        used = (shard for run in self.runs.values() if run.learned for shard in run.request.shards)
        return frozenset((shard.shard_id, shard.sha256) for shard in used)

    @property
    def promoted_at(self) -> datetime | None:
        """When a run last promoted its candidate."""
        ends = (run.end for run in self.runs.values() if run.end is not None)
        return max((end.finished_at for end in ends if end.outcome == "promoted"), default=None)

    def shards_of(self, taxonomy: TaxonomyRef, without: Iterable[str] | Mapping[str, object] = ()) -> list[ShardClosed]:
        """The shards of this label space, by id, less those named."""
        left_out = set(without)
        known = (self.shards[name] for name in sorted(self.shards))
        return [shard for shard in known if shard.taxonomy == taxonomy and shard.shard_id not in left_out]
