"""Swaps of a worker's bundle while mail goes on: `python tests/bench/swaps.py [BUNDLE] [SWAPS]`. A report, not a test.

Three versions of one bundle take turns, so that each one is loaded: the bundle before is kept, the one before that is not. Mails are
decided all the while; what a swap costs them is the slowest batch, and the longest time that the event loop did not answer.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mailweir.models.registry import Registry
from mailweir.models.runtime import shipped_bundle
from mailweir.models.runtime.integrity import MANIFEST
from mailweir.schemas.events import Email, ModelRef
from mailweir.services.classify.decide import Decider
from mailweir.services.classify.source import BundleSource
from mailweir.services.classify.swap import Swapper
from mailweir.services.telemetry import Metrics, configure_logging

VERSIONS, SWAPS, POLL_MS, BATCH = ("1.a", "1.b", "1.c"), 50, 50, 8
BODY = (
    "Good morning, please ship the order of last week by Friday and send the invoice to our office. Best regards " * 5
)
TICK_S = 0.002


@dataclass
class Seen:
    """What the mails and the loop felt."""

    batches_ms: list[float] = field(default_factory=list)
    pauses_ms: list[float] = field(default_factory=list)
    held_ms: list[float] = field(
        default_factory=list
    )  # CPU of the process between two ticks: pauses on a machine of its own

    @staticmethod
    def line(name: str, values: list[float]) -> str:
        """Median, 99th percentile and the worst."""
        ranked = statistics.quantiles(values, n=100)
        return f"{name}: median {ranked[49]:.1f} ms, 99 % below {ranked[98]:.1f} ms, worst {max(values):.1f} ms ({len(values)})"


def megabytes() -> float:
    """Resident memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1_000_000


def fill(registry: Registry, bundle: Path, room: Path) -> None:
    """The same bundle under each version."""
    for version in VERSIONS:
        copy = room / version
        shutil.copytree(bundle, copy)
        manifest = json.loads((copy / MANIFEST).read_bytes())
        manifest["model"]["version"] = version
        (copy / MANIFEST).write_text(json.dumps(manifest))
        registry.add(copy)


@asynccontextmanager
async def beside(*works: object) -> AsyncIterator[None]:
    """Run coroutines until the block ends."""
    tasks = [asyncio.create_task(work) for work in works]  # type: ignore[arg-type]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def mail(decider: Decider, seen: Seen) -> None:
    """One batch after the other."""
    emails = [Email(email_id=f"{n:064x}", mailbox="sales", subject=f"Order {n}", body=BODY) for n in range(BATCH)]
    while True:
        began = time.perf_counter()
        await decider.decide(emails)
        seen.batches_ms.append((time.perf_counter() - began) * 1_000)


async def tick(seen: Seen) -> None:
    """How late the loop is."""
    while True:
        began, used = time.perf_counter(), time.process_time()
        await asyncio.sleep(TICK_S)
        seen.pauses_ms.append((time.perf_counter() - began - TICK_S) * 1_000)
        seen.held_ms.append((time.process_time() - used) * 1_000)


def promote(registry: Registry, version: str, expected: str | None) -> str:
    """The manifest hash that is to be served."""
    model = ModelRef(name="email", version=version)
    return registry.promote(model, expected=expected, cause="bench", by="bench").manifest_sha256


async def measure(registry: Registry, swaps: int) -> None:
    """Swap while mail goes on."""
    turns = itertools.cycle(VERSIONS)
    now = next(turns)
    promote(registry, now, None)
    source, metrics = BundleSource(shipped_bundle(), registry=registry), Metrics()
    decider = Decider(source, metrics)
    swapper = Swapper(source, decider, metrics, POLL_MS)
    await decider.start()
    quiet, busy, times, memory = Seen(), Seen(), [], []
    async with beside(mail(decider, quiet), tick(quiet)):
        await asyncio.sleep(10)
    print(f"before any swap: {megabytes():.0f} MB (one bundle in memory)")
    await swapper.start()
    async with beside(mail(decider, busy), tick(busy)):
        for number in range(1, swaps + 1):
            before, now = now, next(turns)
            wanted = promote(registry, now, before)
            began = time.perf_counter()
            while decider.serves != wanted:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(TICK_S)
            times.append((time.perf_counter() - began) * 1_000)
            memory.append(megabytes())
            if number in {1, 2, 3, 5} or number % 10 == 0:
                print(f"after swap {number:>3}: {memory[-1]:.0f} MB")
    await swapper.stop()
    await decider.stop()
    tail = memory[len(memory) // 5 :]
    half = len(tail) // 2
    print(
        f"mean of swaps {swaps // 5 + 1} to {swaps // 5 + half}: {statistics.mean(tail[:half]):.1f} MB, of the rest: {statistics.mean(tail[half:]):.1f} MB"
    )
    print(Seen.line("pointer written to bundle served", times))
    for name, seen in (("without swaps", quiet), ("with swaps", busy)):
        print(Seen.line(f"{name}, a batch of {BATCH}", seen.batches_ms))
        print(Seen.line(f"{name}, event loop late by", seen.pauses_ms))
        print(Seen.line(f"{name}, CPU between two turns of the loop", seen.held_ms))


def main() -> None:
    """The shipped bundle, or another."""
    configure_logging("error")
    bundle = Path(sys.argv[1]) if len(sys.argv) > 1 else shipped_bundle()
    swaps = int(sys.argv[2]) if len(sys.argv) > 2 else SWAPS
    with tempfile.TemporaryDirectory() as room:
        registry = Registry(Path(room) / "registry")
        fill(registry, bundle, Path(room))
        asyncio.run(measure(registry, swaps))


if __name__ == "__main__":
    main()
