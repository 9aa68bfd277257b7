"""Situations that alerts are for, on real workers: each begins when it is called and lasts until its worker is stopped."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from certificates import ending_in
from factories import add_stage, hosted, memory_bus, parse_all, raw, settings, until
from fleet import mail
from loop import on, word

from mailweir.schemas.events import Decision, utc_now
from mailweir.schemas.topics import CLASSIFIED, DEAD, RETRAIN, Topic
from mailweir.services.app import Host
from mailweir.services.classify.agent import register as register_classify
from mailweir.services.ingest.agent import register as register_ingest
from mailweir.services.memory import MemoryBus
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus, Kept, Outgoing, Record, Result
from mailweir.services.stream.tail import Tail
from mailweir.services.topics import apply

OLD_SECONDS = 120


def own(bootstrap: str, **changes: Any) -> Settings:
    """Settings with topics of their own on a broker."""
    prefix = f"t{uuid.uuid4().hex[:8]}"
    return settings(kafka_bootstrap=bootstrap, topic_prefix=prefix, group_prefix=prefix, **changes)


@asynccontextmanager
async def at_work(host: Host) -> AsyncIterator[Host]:
    """From ready to stopped."""
    async with hosted(host):
        await until(host.health.ready, 60)
        yield host


@asynccontextmanager
async def meanwhile(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Done beside what is in the block, and cut off with it."""
    going_on = asyncio.create_task(work)
    try:
        yield
    finally:
        going_on.cancel()


async def write(known: Settings, *records: Outgoing) -> None:
    """Onto their topics, whatever prefix they were made with."""
    sink = KafkaBus(known).sink()
    await sink.start()
    names = [known.topic_name(one.topic.partition(".")[2]) for one in records]
    await sink.send([Outgoing(name, one.key, one.value, one.headers) for name, one in zip(names, records, strict=True)])
    await sink.stop()


def rubbish(count: int) -> list[Outgoing]:
    """No mails."""
    return [Outgoing("mail.raw", b"box", b"\x00 rubbish %d" % number) for number in range(count)]


async def read(known: Settings, topic: Topic) -> list[Record]:
    """All that is on a topic."""
    async with Tail(known, topic) as tail:
        return [record async for record in tail.present(1_000)]


async def contradict(known: Settings, count: int, first: int = 0) -> None:
    """Five people, and a rule about every tenth, say of so many decisions, from the `first` on, that their category is another."""
    records = (await read(known, CLASSIFIED))[first : first + count]
    assert len(records) == count
    words = []
    for number, record in enumerate(records):
        decision = Decision.decode(record.value)
        label = "work" if decision.heads["category"].label != "work" else "finance"
        more = {"given_at": utc_now(), "decision_source": record.coordinates}
        who, origin = (f"p{number % 5}", "human") if number % 10 else ("watchman", "rule")
        words.append(on("mail.feedback", word(decision, who, label, origin=origin, **more)))
    await write(known, *words)


@asynccontextmanager
async def slow(bootstrap: str) -> AsyncIterator[Host]:
    """Ingest at a twentieth of a second a mail, every fourth a defect, more mail coming than goes, and all of it two minutes old."""
    known = own(bootstrap)
    await apply(known, partitions=1)
    host = Host(known, KafkaBus(known))

    async def handle(records: Sequence[Record]) -> Sequence[Result]:
        await asyncio.sleep(0.05)
        if any(record.offset % 4 == 3 for record in records):
            raise ValueError("a defect of ours")
        return await parse_all(records)

    add_stage(host, handle)
    async with at_work(host), meanwhile(_keep_writing(known)):
        yield host


async def _keep_writing(known: Settings) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=known.kafka_bootstrap)
    await producer.start()
    try:
        for wave in itertools.count():
            stamp = int((time.time() - OLD_SECONDS) * 1_000)
            for one in (mail((10 * wave + number) * 100) for number in range(10)):
                place = {"timestamp_ms": stamp, "headers": one.headers}
                await producer.send(known.topic_name("raw"), one.value, one.key, **place)
            await producer.flush()
            await asyncio.sleep(0.25)
    finally:
        await producer.stop()


@asynccontextmanager
async def hanging(bootstrap: str) -> AsyncIterator[Host]:
    """A stage with fifty records that never comes back from the first batch."""
    known = own(bootstrap)
    await apply(known, partitions=1)
    await write(known, *(Outgoing("mail.retrain", b"run", b"%d" % number) for number in range(50)))
    host = Host(known, KafkaBus(known))

    async def handle(records: Sequence[Record]) -> Sequence[Result]:
        await asyncio.Event().wait()
        return [Kept("") for _ in records]

    add_stage(host, handle, "trainer", RETRAIN, DEAD)
    async with at_work(host):
        yield host


@asynccontextmanager
async def shipped(folder: Path) -> AsyncIterator[Host]:
    """Ingest and classify in memory: the bundle that ships, two mails a second, and TLS settings whose authority ends in two days."""
    (folder / "ca.pem").write_bytes(ending_in(2))
    bus = memory_bus(1)
    host = Host(settings(kafka_security="SSL", kafka_ca_file=folder / "ca.pem"), bus)
    register_ingest(host)
    register_classify(host)
    async with at_work(host), meanwhile(_keep_giving(bus)):
        yield host


async def _keep_giving(bus: MemoryBus) -> None:
    for number in itertools.count():
        bus.write(raw(number))
        await asyncio.sleep(0.5)


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A file system of a megabyte; False, and a mere folder, where this user may mount none."""
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "mailweir-test", folder], check=False, capture_output=True
    )
    try:
        yield mount.returncode == 0
    finally:
        if mount.returncode == 0:
            subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> None:
    """To the last byte."""
    try:
        with (folder / "ballast").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4_096))
    except OSError:
        return


async def hold_up(seconds: float) -> None:
    """Keep the event loop of all workers of this process from its work, four fifths of the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.2)  # noqa: ASYNC251 - what is staged
        await asyncio.sleep(0.05)
