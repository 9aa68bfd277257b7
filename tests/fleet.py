"""Real worker processes that can be killed, and the count afterwards."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.request import urlopen

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from mailweir.schemas.events import Decision
from mailweir.schemas.ids import email_id
from mailweir.services.cli.figures import Scrape
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus, Outgoing

MAX_BYTES = 32 * 1024 * 1024


@dataclass
class Worker:
    """One worker process and what it takes to start it again."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; the log goes on where it was."""
        with self.log.open("ab") as log, self.told.open("wb") as told:
            self.process = subprocess.Popen(self.command, env=os.environ | self.environment, stdout=told, stderr=log)

    @property
    def told(self) -> Path:
        """What it printed since its last start."""
        return self.log.with_suffix(".out")

    def wait_ready(self, seconds: float = 240.0) -> None:
        """Until it has said that it handles mail: seconds, minutes on a machine that is busy with something else."""
        end = time.monotonic() + seconds
        while b'"ready":true' not in self.told.read_bytes():
            assert self.process
            assert self.process.poll() is None, f"{self.name} ended: {self.log.read_text()[-2000:]}"
            assert time.monotonic() < end, f"{self.name} was not ready in time: {self.log.read_text()[-2000:]}"
            time.sleep(0.05)

    @property
    def metrics(self) -> str:
        """The address that it printed."""
        return str(orjson.loads(self.told.read_bytes().splitlines()[0])["metrics"])

    def figure(self, name: str, /, **labels: str) -> float:
        """What it tells Prometheus of a metric now: the sum over all labels but these, 0 where there is no such series."""
        with urlopen(self.metrics, timeout=60) as answer:
            return Scrape(answer.read().decode()).total(name, **labels)

    def end(self, number: signal.Signals) -> int:
        """Send the signal and wait."""
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(60)


@dataclass
class Fleet:
    """Two processes of each agent. Half of the stages keep a static identity, half get a new one with every start."""

    folder: Path
    environment: dict[str, str]
    module: Sequence[str] = ("-m", "mailweir.services.cli", "worker")
    workers: list[Worker] = field(default_factory=list)
    killed: int = 0
    stopped: int = 0

    def start(self, stages: Iterable[str] = ("ingest", "classify"), each: int = 2) -> None:
        """Start all."""
        for stage in stages:
            for number in range(each):
                self.add(stage, **({"MAILWEIR_INSTANCE": f"w{number}"} if stage == "ingest" else {}))
        for worker in self.workers:
            worker.start()
        for worker in self.workers:
            worker.wait_ready()

    def add(self, *stages: str, **identity: str) -> Worker:
        """One more worker of these stages, not started."""
        name = f"{stages[0]}-{len(self.workers)}"
        command = [sys.executable, *self.module, *stages]
        self.workers.append(Worker(name, command, self.environment | identity, self.folder / f"{name}.log"))
        return self.workers[-1]

    def kill_one(self) -> None:
        """Kill -9 one worker at random and start it again."""
        worker = random.choice(self.workers)
        worker.end(signal.SIGKILL)
        worker.start()
        self.killed += 1

    def stop_one(self) -> None:
        """SIGTERM one worker at random, see it end cleanly, start it again."""
        worker = random.choice(self.workers)
        worker.wait_ready()
        code = worker.end(signal.SIGTERM)
        assert code == 0, f"{worker.name} ended with {code}: {worker.log.read_text()[-2000:]}"
        worker.start()
        self.stopped += 1

    def close(self) -> None:
        """End all that still run."""
        for worker in self.workers:
            if worker.process and worker.process.poll() is None:
                worker.end(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def mail(number: int) -> Outgoing:
    """A small mail of its own, every hundredth one poison."""
    mailbox = ("sales", "support", "finance", "orders", "service", "hr", "info")[number % 7] + str(number % 11)
    if number % 100 == 99:
        return Outgoing("mail.raw", mailbox.encode(), b"\x00\xff\xfe rubbish %d \x01" % number)
    text = (
        f"From: Buyer {number} <buyer{number}@customer.example>\r\nTo: {mailbox}@firm.example\r\n"
        f"Subject: Order PO-2026-{number:05d}\r\nDate: Mon, 02 Mar 2026 09:14:00 +0000\r\n"
        f"Message-ID: <{number}@customer.example>\r\n\r\n"
        f"Hello,\r\n\r\nplease send {number % 40 + 1} units of XHU-{number:05d} by Friday.\r\n\r\nRegards\r\nBuyer {number}\r\n"
    )
    return Outgoing("mail.raw", mailbox.encode(), text.encode(), [("content-type", b"message/rfc822")])


async def send(settings: Settings, count: int, per_second: float) -> None:
    """Write mails 0 … count-1 at a steady rate."""
    sink = KafkaBus(settings).sink()
    await sink.start()
    step = 50
    for first in range(0, count, step):
        await sink.send([mail(number) for number in range(first, min(first + step, count))])
        await asyncio.sleep(step / per_second)
    await sink.stop()


@dataclass
class Count:
    """What became of the mails that were sent."""

    sent: int
    lost: list[int]  # neither decided nor dead
    decided: int  # distinct mails with a decision
    dead: int  # distinct records in the dead letters
    repeats: int  # decisions beyond the first of each mail
    conflicts: list[str]  # mails with two decision ids, or two different answers under one id


async def read_all(settings: Settings, topic: str) -> list[tuple[bytes | None, bytes, dict[str, bytes]]]:
    """Everything that is on a topic now: key, value, headers."""
    reader = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap, fetch_max_bytes=MAX_BYTES, auto_offset_reset="earliest"
    )
    await reader.start()
    try:
        await reader._client.force_metadata_update()
        places = [TopicPartition(topic, number) for number in reader.partitions_for_topic(topic) or ()]
        ends = await reader.end_offsets(places)
        reader.assign(places)
        await reader.seek_to_beginning(*places)
        found = []
        while any([await reader.position(place) < end for place, end in ends.items()]):
            for messages in (await reader.getmany(timeout_ms=500)).values():
                found += [(m.key, m.value or b"", dict(m.headers)) for m in messages]
        return found
    finally:
        await reader.stop()


async def count(settings: Settings, sent: int) -> Count:
    """Compare what was sent with the decisions and the dead letters."""
    decisions: dict[str, list[Decision]] = defaultdict(list)
    for _, value, _ in await read_all(settings, "mail.classified"):
        decision = Decision.decode(value)
        decisions[decision.email_id].append(decision)
    dead = {(key, value) for key, value, _ in await read_all(settings, "mail.dead")}
    mails = {number: mail(number) for number in range(sent)}
    lost = [number for number, item in mails.items() if not _arrived(item, decisions, dead)]
    conflicts = [found[0].email_id for found in decisions.values() if not all(found[0].same_answer(d) for d in found)]
    repeats = sum(len(found) - 1 for found in decisions.values())
    return Count(sent, lost, len(decisions), len(dead), repeats, conflicts)


def _arrived(item: Outgoing, decisions: dict[str, list[Decision]], dead: set[tuple[bytes | None, bytes]]) -> bool:
    return email_id((item.key or b"").decode(), item.value) in decisions or (item.key, item.value) in dead


async def settle(settings: Settings, sent: int, seconds: float) -> Count:
    """Wait until nothing is missing, or nothing has come for a while; then count."""
    best, since = -1, asyncio.get_running_loop().time()
    while True:
        result = await count(settings, sent)
        arrived = sent - len(result.lost)
        now = asyncio.get_running_loop().time()
        if arrived > best:
            best, since = arrived, now
        if not result.lost or now - since > seconds:
            return result
        await asyncio.sleep(1)
