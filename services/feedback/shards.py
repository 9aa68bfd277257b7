"""When a shard closes, and what is said about it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from mailweir.models.feedback import read_rows
from mailweir.schemas.events import OffsetRange, ShardClosed, TaxonomyRef
from mailweir.schemas.headers import event_headers
from mailweir.schemas.topics import SHARDS
from mailweir.services.feedback.ledger import Pages
from mailweir.services.feedback.names import Shard
from mailweir.services.feedback.store import Store
from mailweir.services.runs.contexts import shard_context
from mailweir.services.settings import Settings
from mailweir.services.stream import Outgoing

__all__ = ["Cause", "ShardLimits", "announcement", "record_of"]

Cause = Literal["count", "bytes", "age", "taxonomy", "withdrawal"]


@dataclass(frozen=True, slots=True)
class ShardLimits:
    """A shard closes at the first of these."""

    rows: int
    size: int  # bytes of the files that its rows are in
    age: timedelta  # of its oldest row in the ledger

    @classmethod
    def of(cls, settings: Settings) -> ShardLimits:
        """As the settings say."""
        return cls(settings.shard_rows, settings.shard_bytes, timedelta(seconds=settings.shard_seconds))

    def reached(self, pages: Pages, now: datetime) -> Cause | None:
        """Why a shard is due; None if none is. Pure."""
        if not pages.rows:
            return None
        if pages.rows >= self.rows:
            return "count"
        if pages.size >= self.size:
            return "bytes"
        if pages.withdrawals:
            return "withdrawal"  # until a shard says so, a run would learn from what was taken back
        return "age" if pages.since is not None and now - pages.since >= self.age else None

    def share(self, pages: Pages) -> float:
        """How full the open shard is, by rows or bytes; over 1 while what is due waits for its commit."""
        return max(pages.rows / self.rows, pages.size / self.size)

    def cause(self, rows: int, size: int) -> Cause:
        """Why a shard that was closed before a restart was closed, as far as it shows."""
        return "count" if rows >= self.rows else "bytes" if size >= self.size else "age"


def announcement(store: Store, shard: Shard, limits: ShardLimits, cause: Cause | None = None) -> ShardClosed:
    """What is announced about a shard, read from its file. Said again it is the same, but for the cause if that is not known."""
    data = store.read(shard.path)
    rows = read_rows(data, shard.path)
    topic, partition = shard.place
    return ShardClosed(
        shard_id=shard.shard_id,
        uri=store.uri(shard.path),
        sha256=hashlib.sha256(data).hexdigest(),
        rows=len(rows),
        bytes=len(data),
        ranges=(OffsetRange(topic=topic, partition=partition, first=shard.first, last=shard.last),),
        taxonomy=TaxonomyRef(name=rows[0].taxonomy_name, version=rows[0].taxonomy_version),
        cause=cause or limits.cause(len(rows), len(data)),
        closed_at=store.written_at(shard.path),
    )


def record_of(event: ShardClosed, stage: str, prefix: str, *, sampled: bool = False) -> Outgoing:
    """The record that announces it."""
    headers = event_headers(event, stage, shard_context(event.shard_id, sampled=sampled))
    return Outgoing(SHARDS.full_name(prefix), event.shard_id.encode(), event.encode(), headers)
