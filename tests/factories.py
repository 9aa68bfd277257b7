"""Small honest objects for tests: mails, records, and a host whose stage does what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from mailweir.schemas.events import Email, Event
from mailweir.schemas.ids import email_id
from mailweir.schemas.topics import PARSED, RAW, TOPICS, Topic
from mailweir.services.app import Host
from mailweir.services.memory import MemoryBus
from mailweir.services.settings import Settings
from mailweir.services.stream import Batch, Bus, Outgoing, Record, Result

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mailweir.schemas.errors import RecordError

Results = Sequence[Result]
Handle = Callable[[Sequence[Record]], Awaitable[Results]]


def settings(**changes: Any) -> Settings:
    """Settings fit for tests: small waits, any free port."""
    values: dict[str, Any] = {
        "metrics_port": 0,
        "batch_mails": 8,
        "batch_wait_ms": 5,
        "retry_backoff_max_ms": 200,
        "rebalance_wait_ms": 2_000,
    }
    return Settings(**(values | changes))


def memory_bus(partitions: int = 3) -> MemoryBus:
    """All topics of the table under the default prefix."""
    return MemoryBus({topic.full_name("mail"): partitions for topic in TOPICS})


def raw(number: int, mailbox: str = "sales") -> Outgoing:
    """A small raw mail, different for every number."""
    text = f"From: a{number}@example.org\r\nTo: {mailbox}@example.com\r\nSubject: Order {number}\r\n\r\nPlease ship order {number}.\r\n"
    return Outgoing(
        "mail.raw", f"{mailbox}-{number % 7}".encode(), text.encode(), [("content-type", b"message/rfc822")]
    )


def write_raw(bus: MemoryBus, count: int) -> None:
    """So many mails, each different, onto mail.raw."""
    for number in range(count):
        bus.write(raw(number))


def parsed_ids(bus: MemoryBus) -> list[str]:
    """Ids of the mails on mail.parsed, one for every record."""
    return [Email.decode(record.value).email_id for record in bus.records("mail.parsed")]


def parsed(record: Record) -> Email:
    """The email that a trivial ingest makes of a raw record."""
    mailbox = (record.key or b"").decode()
    return Email(
        email_id=email_id(mailbox, record.value), mailbox=mailbox, body=record.value.decode(), source=record.coordinates
    )


async def parse_all(records: Sequence[Record]) -> list[Event | RecordError]:
    """A stage that handles everything."""
    return [parsed(record) for record in records]


def add_stage(host: Host, handle: Handle, stage: str = "ingest", reads: Topic = RAW, writes: Topic = PARSED) -> None:
    """Register an agent that publishes what `handle` returns."""

    @host.agent(reads, stage)
    async def agent(batches: Any) -> None:
        async for batch in batches:
            await _one(batch, handle, writes)


async def _one(batch: Batch, handle: Handle, writes: Topic) -> None:
    async with batch:
        await batch.publish(writes, await handle(batch.records))


@asynccontextmanager
async def hosted(host: Host) -> AsyncIterator[Host]:
    """A host from start to stop."""
    await host.start()
    try:
        yield host
    finally:
        await host.stop()


@asynccontextmanager
async def running(bus: Bus, handle: Handle, **changes: Any) -> AsyncIterator[Host]:
    """A host with one stage, from start to stop."""
    host = Host(settings(**changes), bus)
    add_stage(host, handle)
    async with hosted(host):
        yield host


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for a condition; fail when it does not come true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


async def finish(bus: MemoryBus, handle: Handle, count: int, **changes: Any) -> Host:
    """Run a stage until `count` records came out of it, parsed or dead."""
    async with running(bus, handle, **changes) as host:
        await until(lambda: len(bus.records("mail.parsed")) + len(bus.records("mail.dead")) >= count)
    return host


def value(host: Host, metric: str, **labels: str) -> float:
    """Of a metric of this host; 0 where there is no such series."""
    return host.metrics.registry.get_sample_value(metric, labels) or 0.0
