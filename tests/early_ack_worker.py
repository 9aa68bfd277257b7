"""A worker that is wrong on purpose: it commits before it publishes. The kill test must see that it loses mail."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from mailweir.services.cli import main
from mailweir.services.stream import Abandoned, Reader, Record


async def _commit_first(self: Reader, records: list[Record]) -> None:
    self._idle.clear()
    try:
        self._lag.begin(records)
        if await self._commit(records):
            await asyncio.sleep(0.2)  # most of its time is spent in the gap, so that few kills are enough to show it
            with suppress(Abandoned):
                await self._deliver(records)
    finally:
        self._batch = None
        self._idle.set()


Reader._handle = _commit_first  # type: ignore[method-assign]

if __name__ == "__main__":
    main()
