"""How far behind a stage is, in records and in seconds.

The broker tells how many records wait, not how old they are. What lies in our hands has a stamp. For a partition of which we
hold nothing, its oldest record is younger than the last one that we finished, and than the last moment at which nothing
waited; a partition of which we know neither has no age (NaN), and never 0.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

from mailweir.services.stream.record import Partition, Record
from mailweir.services.stream.transport import Lag
from mailweir.services.telemetry import Metrics

__all__ = ["LagMeter"]


class LagMeter:
    """Keeps the lag gauges of one stage."""

    def __init__(self, stage: str, metrics: Metrics) -> None:
        self._stage = stage
        self._metrics = metrics
        self._oldest: dict[Partition, int] = {}  # time stamp of the oldest record in hand or waiting
        self._bound: dict[Partition, int] = {}  # what waits elsewhere was written after this moment
        self._behind: set[Partition] = set()  # partitions of which the broker holds more

    def begin(self, records: Sequence[Record]) -> None:
        """A batch starts: until it is finished its oldest records are what their partitions are behind by."""
        for record in records:
            self._note(record)
        oldest = min(record.timestamp_ms for record in records)
        self._metrics.batch_mails.labels(self._stage).observe(len(records))
        self._metrics.batch_oldest.labels(self._stage).observe(_age_seconds(oldest))

    def finish(self, records: Sequence[Record]) -> None:
        """A batch is committed: what is left of its partitions is younger."""
        for record in records:
            self._bound[record.place] = max(record.timestamp_ms, self._bound.get(record.place, 0))

    def report(self, lags: Mapping[Partition, Lag], waiting: Sequence[Record]) -> int:
        """Take in where every assigned partition stands and what waits here; returns all records not yet finished."""
        self._oldest.clear()
        for record in waiting:
            self._note(record)
        behind = 0
        for place, lag in lags.items():
            if lag.end is None:
                continue
            records = max(lag.end - lag.position, 0)
            behind += records
            self._place(place, records)
            labels = (self._stage, place[0], str(place[1]))
            self._metrics.lag_records.labels(*labels).set(records + sum(record.place == place for record in waiting))
            self._metrics.lag_seconds.labels(*labels).set_function(partial(self._seconds, place))
        return behind + len(waiting)

    def forget(self, places: frozenset[Partition]) -> None:
        """Partitions went elsewhere: their gauges go with them, or the old owner would report for ever."""
        for place in places:
            self._oldest.pop(place, None)
            self._bound.pop(place, None)
            self._behind.discard(place)
            for gauge in (self._metrics.lag_records, self._metrics.lag_seconds):
                with suppress(KeyError):
                    gauge.remove(self._stage, place[0], str(place[1]))

    def _note(self, record: Record) -> None:
        self._oldest[record.place] = min(record.timestamp_ms, self._oldest.get(record.place, record.timestamp_ms))

    def _place(self, place: Partition, records: int) -> None:
        if records:
            self._behind.add(place)
            return
        self._behind.discard(place)
        if place not in self._oldest:
            self._bound[place] = int(time.time() * 1_000)

    def _seconds(self, place: Partition) -> float:
        """Asked at scrape time, so that it grows while a batch waits out a broker."""
        if place in self._oldest:
            return _age_seconds(self._oldest[place])
        if place not in self._behind:
            return 0.0
        return _age_seconds(self._bound[place]) if place in self._bound else math.nan


def _age_seconds(stamp_ms: int) -> float:
    return max(time.time() - stamp_ms / 1_000, 0.0)
