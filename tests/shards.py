"""Closed shards with made-up figures, for tests of the retrain trigger: the figures are in the address."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

from mailweir.schemas.errors import InputError
from mailweir.schemas.events import OffsetRange, RetrainFinished, RetrainRequested, ShardClosed, TaxonomyRef
from mailweir.schemas.headers import event_headers
from mailweir.schemas.ids import digest
from mailweir.services.retrain.counts import ShardCounts, Tally
from mailweir.services.stream import Outgoing

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
EMAIL = TaxonomyRef(name="email", version=1)


def counts(
    human: int, wrong: int = 0, sure: float = 0.9, at: datetime = NOON, **labels: tuple[int, int]
) -> ShardCounts:
    """One verdict of each person, `wrong` of them against the model; labels as `intent__none=(right, wrong)`."""
    tallies = {name.replace("__", "/"): Tally(*pair) for name, pair in labels.items()}
    return ShardCounts(human, Tally(human - wrong, wrong), human * sure, tallies, at - timedelta(hours=1), at)


def shard(number: int, human: int = 10, wrong: int = 0, taxonomy: TaxonomyRef = EMAIL) -> ShardClosed:
    """A shard of `human` words, given now."""
    figures = {"human": human, "wrong": wrong}
    return ShardClosed(
        shard_id=f"mail.feedback-0-{number:08d}",
        uri=f"figures:{quote(json.dumps(figures))}",
        sha256=digest("shard", str(number)),
        rows=human,
        bytes=1,
        ranges=(OffsetRange(topic="mail.feedback", partition=0, first=number * 100, last=number * 100 + 99),),
        taxonomy=taxonomy,
        cause="count",
        closed_at=datetime.now(UTC),
    )


def count_figures(closed: ShardClosed) -> ShardCounts:
    """The figures of a `shard`."""
    kind, _, figures = closed.uri.partition(":")
    if kind != "figures":
        raise InputError(f"{closed.uri} is gone")
    return counts(at=datetime.now(UTC), **json.loads(unquote(figures)))


def record(event: ShardClosed | RetrainRequested | RetrainFinished, prefix: str = "mail") -> Outgoing:
    """As it is written to its topic."""
    topic, key = ("shards", event.shard_id) if isinstance(event, ShardClosed) else ("retrain", event.run_id)
    headers = event_headers(event, "test", f"00-{'1' * 32}-{'2' * 16}-01")
    return Outgoing(f"{prefix}.{topic}", key.encode(), event.encode(), headers)
