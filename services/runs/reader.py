"""From the records of `mail.shards` and `mail.retrain` to a history."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta

from mailweir.schemas.errors import InvalidEvent, RecordError
from mailweir.schemas.events import RetrainFinished, RetrainRequested, ShardClosed
from mailweir.schemas.headers import header
from mailweir.schemas.topics import RETRAIN, SHARDS
from mailweir.services.runs.history import History
from mailweir.services.stream import Journal, Record
from mailweir.services.stream.stream import Stream
from mailweir.services.telemetry import logger

__all__ = ["HistoryReader"]

log = logger(__name__)

_Take = Callable[[History, Record], None]


class HistoryReader:
    """Keeps a history up to date. Nothing of it is stored: a worker that starts reads both topics from their beginning."""

    def __init__(self, shards: Journal, runs: Journal, timeout: timedelta) -> None:
        self.history = History(timeout)
        self._shards = shards
        self._runs = runs

    @classmethod
    def of(cls, stream: Stream, timeout: timedelta) -> HistoryReader:
        """On the topics of a worker."""
        return cls(stream.journal(SHARDS), stream.journal(RETRAIN), timeout)

    async def stop(self) -> None:
        """Disconnect."""
        await self._shards.stop()
        await self._runs.stop()

    async def catch_up(self) -> History:
        """The history up to the ends of both topics as they are now.

        Raises:
            DependencyError: the broker is away; nothing may be decided.
        """
        # shards first: what a request names was announced before it
        self._take(await self._shards.rest(), _take_shard)
        self._take(await self._runs.rest(), _take_run)
        return self.history

    def _take(self, records: Iterable[Record], take: _Take) -> None:
        for record in records:
            try:
                take(self.history, record)
            except RecordError as error:  # the agent rejects a shard; a run that cannot be read is nobody's to reject
                log.warning("record_ignored", code=error.code, error=error.message, **record.log_context())


def _take_shard(history: History, record: Record) -> None:
    history.closed(ShardClosed.decode(record.value))


def _take_run(history: History, record: Record) -> None:
    kind = header(record.headers, "ce_type") or ""
    if kind.startswith(f"{RetrainRequested.ce_type}."):
        history.requested(RetrainRequested.decode(record.value))
    elif kind.startswith(f"{RetrainFinished.ce_type}."):
        history.finished(RetrainFinished.decode(record.value))
    else:
        raise InvalidEvent(
            f"the header ce_type is {kind or 'missing'}: neither {RetrainRequested.ce_type} nor {RetrainFinished.ce_type}"
        )
