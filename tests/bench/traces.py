"""What traces cost: `PYTHONPATH=tests python tests/bench/traces.py [MAILS] [ROUNDS] [BUNDLE] [BEFORE]`. A report, not a test.

One worker process with both agents on a broker, with traces off, for every hundredth mail and for every mail, in turns within one run,
so that a busy machine slows all of them. BEFORE is the build/tree of another checkout: its workers take a turn as well. The collector
is a thread of this script, which takes what comes and reads none of it.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from bench.footprint import cpu_ms, mails
from collector import collecting
from factories import settings
from fleet import Fleet, Worker

from mailweir.models.runtime import shipped_bundle
from mailweir.schemas.topics import CLASSIFIED
from mailweir.services.broker import KafkaCluster
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus, Outgoing
from mailweir.services.stream.tail import Tail
from mailweir.services.topics import apply

WARM = 100
MODULE = ("-m", "mailweir.services.cli", "worker", "ingest")


async def _decided(known: Settings, count: int) -> list[int]:
    """When each was decided, in ms, once there are so many."""
    async with Tail(known, CLASSIFIED) as tail:
        stamps: list[int] = []
        while len(stamps) < count:
            await asyncio.sleep(0.5)
            stamps = [record.timestamp_ms async for record in tail.present(10**9)]
    return sorted(stamps)


async def turn(bootstrap: str, prefix: str, stream: list[Outgoing], environment: dict[str, str]) -> tuple[float, float]:
    """Mails a second, and CPU milliseconds a mail of the worker and its parser."""
    known = settings(kafka_bootstrap=bootstrap, topic_prefix=prefix)
    await apply(known)
    sink = KafkaBus(known).sink()
    await sink.start()
    named = [Outgoing(f"{prefix}.raw", one.key, one.value, one.headers) for one in stream]
    place = {"MAILWEIR_KAFKA_BOOTSTRAP": bootstrap, "MAILWEIR_TOPIC_PREFIX": prefix, "MAILWEIR_METRICS_PORT": "0"}
    with tempfile.TemporaryDirectory() as folder, Fleet(Path(folder), place | environment, MODULE) as fleet:
        await asyncio.to_thread(fleet.start, ["classify"], 1)
        pid = _pid(fleet.workers[0])
        await sink.send(named[:WARM])
        await _decided(known, WARM)
        before = cpu_ms(pid)
        await sink.send(named[WARM:])
        times = (await _decided(known, len(stream)))[WARM:]
        spent = cpu_ms(pid) - before
    await sink.stop()
    return len(times) / (times[-1] - times[0]) * 1_000, spent / len(times)


def _pid(worker: Worker) -> int:
    assert worker.process
    return worker.process.pid


async def main(count: int, rounds: int, bundle: str, before: str) -> None:
    """All ways in turn, so many times; the median of each, and beside it what it is of `off`."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    stream = mails(WARM + count)
    with collecting() as got, KafkaCluster() as broker:
        got.status = 202
        to = {"MAILWEIR_OTLP_ENDPOINT": got.url, "MAILWEIR_BUNDLE": bundle}
        ways = {
            "off": {"MAILWEIR_BUNDLE": bundle},
            "0.01": to | {"MAILWEIR_OTLP_RATIO": "0.01"},
            "1.0": to | {"MAILWEIR_OTLP_RATIO": "1"},
        } | ({"before": {"MAILWEIR_BUNDLE": bundle, "PYTHONPATH": before}} if before else {})
        for number in range(rounds):
            for way, environment in ways.items():
                prefix = f"r{number}-{way.replace('.', '-')}"
                found[way].append(await turn(broker.bootstrap, prefix, stream, environment))
                print(f"{way}: {found[way][-1][0]:.1f} mails/s, {found[way][-1][1]:.2f} ms CPU a mail", flush=True)
    speed, cpu = ({way: statistics.median(one[n] for one in all_) for way, all_ in found.items()} for n in (0, 1))
    for way in found:
        print(
            f"{way}: median {speed[way]:.0f} mails/s ({speed[way] / speed['off']:.2f} of off), "
            f"{cpu[way]:.2f} ms CPU a mail ({cpu[way] / cpu['off']:.2f})"
        )


if __name__ == "__main__":
    chosen = sys.argv[1:] + ["600", "3", str(shipped_bundle()), ""][len(sys.argv) - 1 :]
    asyncio.run(main(int(chosen[0]), int(chosen[1]), chosen[2], chosen[3]))
