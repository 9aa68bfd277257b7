"""A worker with the feedback agent in memory: what it is told, and what it keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from factories import hosted, settings
from loop import decided, mail, on

from mailweir.models.feedback import FeedbackRow, read_rows
from mailweir.schemas.events import (
    DeadLetter,
    Decision,
    Feedback,
    ShardClosed,
)
from mailweir.services.app import Host
from mailweir.services.feedback.agent import register
from mailweir.services.feedback.ledger import all_rows
from mailweir.services.feedback.redaction import UNREDACTED, Redaction
from mailweir.services.feedback.store import Store
from mailweir.services.memory import MemoryBus
from mailweir.services.stream import Record


@asynccontextmanager
async def agent(
    bus: MemoryBus, ledger: Path | str, redaction: Redaction = UNREDACTED, **changes: Any
) -> AsyncIterator[Host]:
    """A worker with the feedback agent."""
    host = Host(settings(ledger=str(ledger), **({"feedback_batch_wait_ms": 5} | changes)), bus)
    register(host, redaction)
    async with hosted(host):
        yield host


def decide(bus: MemoryBus, number: int, **changes: Any) -> tuple[Decision, Record]:
    """A mail and its decision on their topics; the decision and its record."""
    email = mail(number)
    place = bus.write(on("mail.parsed", email)).coordinates
    decision = decided(email, place, **changes)
    return decision, bus.write(on("mail.classified", decision))


def say(bus: MemoryBus, *words: Feedback) -> None:
    """Put words onto mail.feedback."""
    for one in words:
        bus.write(on("mail.feedback", one))


def rows(ledger: Path) -> list[FeedbackRow]:
    """What the ledger holds."""
    return all_rows(Store(str(ledger)))


def written(folder: Path) -> list[FeedbackRow]:
    """Every row of every file below a folder, repeats included."""
    return [row for path in sorted(folder.rglob("*.parquet")) for row in read_rows(path.read_bytes(), str(path))]


def causes(bus: MemoryBus) -> list[str]:
    """Codes of the dead letters."""
    return sorted(DeadLetter.from_headers(record.headers).code for record in bus.records("mail.dead"))


def finished(host: Host) -> int:
    """Records whose offsets were committed."""
    return host.stream.readers[0].progress.finished


def announced(bus: MemoryBus) -> list[ShardClosed]:
    """What is on mail.shards."""
    return [ShardClosed.decode(record.value) for record in bus.records("mail.shards")]
