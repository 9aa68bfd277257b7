"""The formula of `mailweir size` beside a load: `PYTHONPATH=tests python tests/bench/load.py [MAILS]`. A report, not a test.

One worker process and then two, each with both agents, on a broker that shares the machine. First all mails lie there (how fast), then
they come at half and at four fifths of that speed (how late). CPU is counted from the first decision to the last, apart for workers and
broker, so that what bends the curve shows: cores that are all busy, or a wait that is nobody's CPU.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.footprint import cpu_ms, mails
from factories import settings
from fleet import Fleet

from mailweir.schemas.ids import email_id
from mailweir.schemas.topics import CLASSIFIED, RAW
from mailweir.services.broker import KafkaCluster
from mailweir.services.cli.sizing import FIGURES
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus, Outgoing, Record
from mailweir.services.stream.tail import Tail
from mailweir.services.topics import apply

WARM = 100  # mails before it counts: a worker's first batches build caches
STEP_S = 0.05
FORMULA_MS = FIGURES["cpu_ingest"].value + FIGURES["cpu_classify"].value


@dataclass(frozen=True)
class Cost:
    """CPU milliseconds so far."""

    workers: float
    broker: float


class Load:
    """A broker, workers, and mails that are told apart by their places."""

    def __init__(self, known: Settings, fleet: Fleet) -> None:
        self._known, self._fleet = known, fleet
        self._sink = KafkaBus(known).sink()
        self._sent = 0

    async def start(self) -> None:
        """Connect, and warm the workers up."""
        await self._sink.start()
        await self.send(mails(WARM))
        await self._decided()

    async def stop(self) -> None:
        """Disconnect."""
        await self._sink.stop()

    async def send(self, chosen: list[Outgoing]) -> None:
        """All at once."""
        self._sent += len(chosen)
        await self._sink.send(chosen)

    async def pace(self, chosen: list[Outgoing], per_s: float) -> None:
        """Evenly, by the clock: a late step sends what is due."""
        begun, done = time.monotonic(), 0
        while done < len(chosen):
            due = min(int((time.monotonic() - begun) * per_s), len(chosen))
            if due > done:
                await self.send(chosen[done:due])
            done = due
            await asyncio.sleep(STEP_S)

    async def _decided(self) -> None:
        async with Tail(self._known, CLASSIFIED) as tail:
            while len([one async for one in tail.present(10**9)]) < self._sent:  # noqa: ASYNC110 - the log tells nobody
                await asyncio.sleep(1)

    def cost(self) -> Cost:
        """Of all workers, and of what else we started: the broker."""
        pids = [worker.process.pid for worker in self._fleet.workers if worker.process]
        workers = sum(cpu_ms(pid) for pid in pids)
        others = set(_children()) - set(pids)
        return Cost(workers, sum(cpu_ms(pid) for pid in others))

    async def measure(self, chosen: list[Outgoing], per_s: float | None) -> str:
        """One row of the table."""
        before, skip = self.cost(), self._sent
        await (self.pace(chosen, per_s) if per_s else self.send(chosen))
        await self._decided()
        after = self.cost()
        raw, decided = await self._times(skip)
        seconds = (max(decided.values()) - min(decided.values())) / 1_000
        waits = sorted((decided[one] - raw[one]) / 1_000 for one in raw)
        ms = (after.workers - before.workers) / len(raw)
        self.per_s = len(raw) / seconds
        return (
            f"{self.per_s:.0f} mails/s | workers {ms * self.per_s / 1e3:.2f} cores, broker "
            f"{(after.broker - before.broker) / seconds / 1e3:.2f} of {os.cpu_count()} | {ms:.1f} ms CPU a mail, "
            f"formula {FORMULA_MS:.1f} ({ms / FORMULA_MS:.2f}) | wait {_tell(waits)}"
        )

    async def _times(self, skip: int) -> tuple[dict[str, int], dict[str, int]]:
        """When each mail came and when it was decided, by mail; without the first `skip`."""
        raw = await _records(self._known, RAW)
        newest = sorted(raw, key=lambda record: record.timestamp_ms)[skip:]
        came = {email_id((one.key or b"").decode(), one.value): one.timestamp_ms for one in newest}
        all_decided = {(one.key or b"").decode(): one.timestamp_ms for one in await _records(self._known, CLASSIFIED)}
        return came, {one: all_decided[one] for one in came}


async def _records(known: Settings, topic: object) -> list[Record]:
    async with Tail(known, topic) as tail:  # type: ignore[arg-type]
        return [record async for record in tail.present(10**9)]


def _children() -> list[int]:
    own = os.getpid()
    return [int(pid) for task in Path(f"/proc/{own}/task").iterdir() for pid in (task / "children").read_text().split()]


def _tell(waits: list[float]) -> str:
    return f"median {statistics.median(waits):.2f} s, 99 % {waits[int(len(waits) * 0.99)]:.2f} s"


async def run(count: int, processes: int) -> None:
    """Fast as it goes, then at half and at four fifths of that."""
    stream = mails(WARM + 3 * count)[WARM:]
    with KafkaCluster() as broker, tempfile.TemporaryDirectory() as folder:
        known = settings(kafka_bootstrap=broker.bootstrap)
        await apply(known)
        module = ("-m", "mailweir.services.cli", "worker", "ingest")
        with Fleet(Path(folder), {"MAILWEIR_KAFKA_BOOTSTRAP": broker.bootstrap}, module) as fleet:
            await asyncio.to_thread(fleet.start, ["classify"], processes)
            load = Load(known, fleet)
            await load.start()
            print(f"{processes} process(es), all at once: {await load.measure(stream[:count], None)}", flush=True)
            fastest = load.per_s
            for number, share in enumerate((0.5, 0.8), 1):
                chosen = stream[number * count : (number + 1) * count]
                print(
                    f"{processes} process(es), {share:.0%} of it: {await load.measure(chosen, fastest * share)}",
                    flush=True,
                )
            await load.stop()


async def main(count: int) -> None:
    """One process, then two."""
    for processes in (1, 2):
        await run(count, processes)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_500))
