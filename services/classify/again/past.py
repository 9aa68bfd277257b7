"""What lies on `mail.classified` since a time, read once; memory is that of one pull."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from mailweir.schemas.errors import RecordError
from mailweir.schemas.events import Decision
from mailweir.services.stream import Record, Scan

__all__ = ["milliseconds", "past"]

Read = tuple[int, list[tuple[Record, Decision | RecordError]]]
"""How many records were read, and those of them that count, decoded."""


def milliseconds(moment: datetime | None) -> int:
    """As Kafka stamps records; 0, the beginning, for none."""
    return int(moment.timestamp() * 1_000) if moment else 0


async def past(scan: Scan, until: datetime | None = None, only: str = "") -> AsyncIterator[Read]:
    """What is left before the end that was fixed, less what was written at or after `until`.

    With `only` records without this text are left out unread: an id is found without decoding what is not looked for.

    Raises:
        DependencyError: the broker is away.
    """
    end, wanted = milliseconds(until), only.encode()
    while pulled := await scan.pull():
        kept = [one for one in pulled if (not end or one.timestamp_ms < end) and wanted in one.value]
        yield len(pulled), [(record, _decision(record)) for record in kept]


def _decision(record: Record) -> Decision | RecordError:
    try:
        return Decision.decode(record.value)
    except RecordError as error:
        return error
