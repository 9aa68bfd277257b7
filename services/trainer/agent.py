"""The trainer agent: `mail.retrain` → the trainer as a process on this machine."""

from __future__ import annotations

from collections.abc import Sequence

from faust.types.streams import StreamT

from mailweir.schemas.errors import RecordError
from mailweir.schemas.topics import DEAD, RETRAIN
from mailweir.services.app import Host
from mailweir.services.runs.reader import read_run
from mailweir.services.stream import Batch, Kept, Record, Result
from mailweir.services.trainer.launch import COMMAND, STAGE, Launcher

__all__ = ["register"]


def register(host: Host, command: Sequence[str] = COMMAND, look_s: float = 1.0) -> None:
    """Add the agent and its launcher to `host`; `command` gets the id of a run as its last word.

    A request is done, and its offset committed, as soon as the launcher was woken: a run takes hours, and no partition is held
    for it. Nothing is lost by that: which run is open follows from the whole topic, which the launcher reads from its beginning
    when it starts, and the run is open until its end is on the topic as well.
    """
    launcher = Launcher(host, command, look_s)
    host.parts.append(launcher)

    @host.agent(RETRAIN, STAGE)
    async def trainer(batches: StreamT[Batch]) -> None:
        async for batch in batches:
            async with batch:
                launcher.wake()
                await batch.publish(DEAD, [_result(record) for record in batch.records])


def _result(record: Record) -> Result:
    try:
        read_run(record)
    except RecordError as error:
        return error
    return Kept("")
