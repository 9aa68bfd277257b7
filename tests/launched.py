"""A worker with the trainer agent whose command is a shell script, and the traces that it leaves in the working folder."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from factories import hosted, settings
from shards import EMAIL, record

from mailweir.schemas.events import ModelRef, RetrainFinished, RetrainRequested
from mailweir.schemas.headers import header
from mailweir.schemas.ids import digest
from mailweir.services.app import Host
from mailweir.services.memory import MemoryBus
from mailweir.services.stream import Outgoing
from mailweir.services.trainer.agent import register

LOG = 'echo "$1" >> starts; '  # each start leaves the id that it was given


UNTIL_GO = "while [ ! -e go ]; do sleep 0.02; done; "


@asynccontextmanager
async def launcher(bus: MemoryBus, script: str, **changes: Any) -> AsyncIterator[Host]:
    """A worker with the trainer agent, whose command is this script."""
    quick = {"retrain_look_seconds": 0.05, "trainer_grace_seconds": 0.2}
    host = Host(settings(**quick | changes), bus)
    register(host, ("sh", "-c", LOG + script, "trainer"), look_s=0.02)
    async with hosted(host):
        yield host


def request(number: int, minutes_ago: float = 1.0) -> RetrainRequested:
    """A run that was asked for."""
    return RetrainRequested(
        run_id=digest("run", str(number)),
        shards=(),
        champion=ModelRef(name="email", version="1.a"),
        taxonomy=EMAIL,
        cause="enough was said",
        requested_by="policy",
        requested_at=datetime.now(UTC) - timedelta(minutes=minutes_ago),
    )


def end_of(asked: RetrainRequested, outcome: str = "promoted") -> Outgoing:
    """How it ended, as the trainer tells it."""
    values = {"run_id": asked.run_id, "outcome": outcome, "finished_at": datetime.now(UTC)}
    return record(RetrainFinished.model_validate(values))


def starts() -> list[str]:
    """Ids of the runs that were started, in order."""
    return Path("starts").read_text().split() if Path("starts").exists() else []


def go() -> None:
    """Let scripts that wait end."""
    Path("go").touch()


def there(name: str) -> bool:
    """Whether a script left this."""
    return Path(name).exists()


def pid() -> int:
    """Of the script, once it has said so; else 0."""
    return int(Path("pid").read_text() or 0) if there("pid") else 0


def ends(bus: MemoryBus) -> list[RetrainFinished]:
    """What was told."""
    found = [one for one in bus.records("mail.retrain") if "finished" in (header(one.headers, "ce_type") or "")]
    return [RetrainFinished.decode(one.value) for one in found]


def alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
