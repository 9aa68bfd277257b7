"""The ingest agent: `mail.raw` → `mail.parsed`."""

from __future__ import annotations

from faust.types.streams import StreamT

from mailweir.schemas.events import Email
from mailweir.schemas.headers import header
from mailweir.schemas.ids import email_id
from mailweir.schemas.topics import PARSED, RAW
from mailweir.services.app import Host, Part
from mailweir.services.ingest.limits import limits_of
from mailweir.services.ingest.raw import RawMail
from mailweir.services.ingest.sandbox import ParserPool
from mailweir.services.stream import Batch, Record
from mailweir.services.telemetry import note_ages

__all__ = ["Parsers", "raw_mail", "register"]


class Parsers(Part):
    """The parser processes of a worker."""

    def __init__(self, pool: ParserPool) -> None:
        super().__init__()
        self.pool = pool

    async def on_start(self) -> None:
        """Start and warm up the parser process."""
        await self.pool.start()

    async def on_stop(self) -> None:
        """End it."""
        await self.pool.close()


def register(host: Host) -> None:
    """Add the agent and its parsers to `host`."""
    parsers = Parsers(ParserPool(limits_of(host.settings)))
    host.parts.append(parsers)
    seconds = host.metrics.seconds.labels("ingest", "parse")

    @host.agent(RAW, "ingest")
    async def ingest(batches: StreamT[Batch]) -> None:
        async for batch in batches:
            async with batch:
                mails = [raw_mail(record) for record in batch.records]
                with batch.step("parse"):
                    results = await parsers.pool.parse_all(mails)
                for mail, result in zip(mails, results, strict=True):
                    if isinstance(result, Email):
                        seconds.observe(result.parse_ms / 1_000)
                    else:
                        result.detail["email_id"] = email_id(mail.mailbox, mail.value)
                await batch.publish(PARSED, results)
                note_ages(host.metrics, "ingest", [record.time for record in batch.records])


def raw_mail(record: Record) -> RawMail:
    """What the parser needs of a record."""
    return RawMail(
        value=record.value,
        mailbox=(record.key or b"").decode("utf-8", "replace"),
        content_type=header(record.headers, "content-type"),
        source=record.coordinates,
        received_at=record.time,
    )
