"""`mailweir send`: mails from files onto mail.raw."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from mailweir.schemas.errors import DependencyError
from mailweir.schemas.headers import Headers, event_headers
from mailweir.schemas.topics import RAW
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.output import complain, console, file_size, progress
from mailweir.services.cli.paths import check_paths, total_bytes
from mailweir.services.cli.reading import FoundMail, Skipped, read_mails
from mailweir.services.settings import Settings

if TYPE_CHECKING:
    from mailweir.services.stream import Outgoing, Sink

__all__ = ["Sender", "send"]

_BATCH_MAILS = 500  # a round trip for each batch: larger ones gain nothing more
_BATCH_BYTES = 8_000_000  # memory; one large mail is a batch of its own
_PACED_SHARE = 0.1  # with a rate, a tenth of a second's mails at a time
_TRIES = 6  # of one batch: the producer itself waits out a broker for request_timeout_ms each time


def send(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH… | -",
            help="A mail (.eml), an mbox, a Maildir, JSON lines (.jsonl), a folder with any of them inside, or - for "
            "standard input. A file with another name is looked into.",
        ),
    ],
    *,
    mailbox: Annotated[
        str, typer.Option(metavar="NAME", help="Who received the mails that do not say it; key of the records.")
    ] = "",
    rate: Annotated[float | None, typer.Option(min=0.01, help="At most so many mails a second.")] = None,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Every file is one mail, whatever its bytes are: to try rejects.")
    ] = False,
) -> None:
    r"""Send mails onto mail.raw.

    Rows of JSON lines have the fields id, subject, from, to, date, body and mailbox; others are ignored. Hidden files are
    left out. Files of any size are read mail by mail. A mail above 26 MB is named and left out.

    [bold]mailweir send inbox.mbox ~/Maildir --mailbox sales --rate 50[/]

    Exit codes: 0 all sent; 1 at least one was skipped (each is named with its reason), a path has no mail, or the broker went away;
    2 a path is not there, no broker, or no topic.
    """
    check_paths(paths)
    settings = client_settings()
    sender = Sender(settings, mailbox)
    with asyncio.Runner() as runner:
        runner.run(sender.start())
        try:
            with progress("sending", total_bytes(paths)) as advance:
                for batch in sender.batches(read_mails(paths, as_is=as_is), rate):
                    runner.run(sender.send(batch))
                    advance(len(batch), sum(len(mail.value) for mail in batch))
                    sender.keep_pace(rate)
        finally:
            runner.run(sender.stop())
    _summary(sender, settings)


@dataclass
class Sender:
    """Sends mails in batches and counts; one mail after the other is read, sent and forgotten."""

    settings: Settings
    mailbox: str = ""  # of mails that name none
    sent: int = 0
    sent_bytes: int = 0
    skipped: Counter[str] = field(default_factory=Counter)  # error code → how many
    _sink: Sink | None = None
    _began: float = field(default_factory=time.monotonic)

    async def start(self) -> None:
        """Connect.

        Raises:
            TopicMissing: mail.raw is not there.
            BrokerUnreachable: nobody answers.
        """
        from mailweir.services.stream import KafkaBus
        from mailweir.services.topics import require

        await require(self.settings, (RAW,))
        self._sink = KafkaBus(self.settings).sink()
        await self._sink.start()
        self._began = time.monotonic()

    async def stop(self) -> None:
        """Close; everything sent is confirmed already."""
        if self._sink:
            await self._sink.stop()

    def batches(self, items: Iterable[FoundMail | Skipped], rate: float | None = None) -> Iterator[list[FoundMail]]:
        """Mails in batches; what is skipped is named at once and counted."""
        most = _BATCH_MAILS if rate is None else max(1, min(_BATCH_MAILS, int(rate * _PACED_SHARE)))
        batch: list[FoundMail] = []
        size = 0
        for item in items:
            if isinstance(item, Skipped):
                self.skipped[item.error.code] += 1
                complain(f"{item.origin} skipped: {item.error.message}")
                continue
            if batch and (len(batch) >= most or size + len(item.value) > _BATCH_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(item)
            size += len(item.value)
        if batch:
            yield batch

    async def send(self, mails: list[FoundMail]) -> None:
        """Write these mails and wait until all in-sync replicas have them.

        Raises:
            DependencyError: the broker stays away.
        """
        from mailweir.services.stream.backoff import Backoff

        if self._sink is None:
            raise RuntimeError("the sender was used before it was started")
        records = [self.record(mail) for mail in mails]
        backoff = Backoff(self.settings.retry_backoff_max_ms)
        for tries in range(1, _TRIES + 1):
            try:
                await self._sink.send(records)
                break
            except DependencyError as error:
                if tries == _TRIES:
                    raise DependencyError(f"{error.message}; {self.sent:,} mails were sent before") from error
                await backoff.pause(tries)
        self.sent += len(mails)
        self.sent_bytes += sum(len(mail.value) for mail in mails)

    def record(self, mail: FoundMail) -> Outgoing:
        """The record of a mail: its bytes, its mailbox as the key, its content type, CloudEvents headers with JSON."""
        from mailweir.services.stream import Outgoing

        mailbox = mail.mailbox(self.mailbox)
        headers: Headers = [("content-type", mail.content_type.encode())]
        if mail.row:
            row = mail.row.model_copy(update={"mailbox": mailbox})
            headers = event_headers(row, "send", None)  # the trace begins where the mail gets its id
        return Outgoing(self.settings.topic_name(RAW.name), mailbox.encode() or None, mail.value, headers)

    def keep_pace(self, rate: float | None) -> None:
        """Wait until no more than `rate` mails a second have been sent."""
        if rate is not None:
            time.sleep(max(0.0, self._began + self.sent / rate - time.monotonic()))

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._began


def _summary(sender: Sender, settings: Settings) -> None:
    to, topic = console(errors=True), settings.topic_name(RAW.name)
    speed = sender.sent / max(sender.seconds, 0.001)
    to.print(
        f"{sender.sent:,} sent to {topic} ({file_size(sender.sent_bytes)} in {sender.seconds:.1f} s, {speed:,.0f} a second)"
    )
    if not sender.skipped:
        return
    causes = ", ".join(f"{code} {count:,}" for code, count in sender.skipped.most_common())
    to.print(f"{sender.skipped.total():,} skipped: {causes}")
    if "not_a_mail" in sender.skipped:
        to.print("--as-is sends the bytes of files that are not mails, too", style="dim")
    raise typer.Exit(1)
