"""Writing to Kafka, through aiokafka's producer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    BrokerResponseError,
    KafkaError,
    KafkaTimeoutError,
    LeaderNotAvailableError,
    MessageSizeTooLargeError,
    NotLeaderForPartitionError,
    RecordListTooLargeError,
    UnknownTopicOrPartitionError,
    kafka_errors,
)

from mailweir.schemas.errors import AccessRefused, DependencyError, WriteRefused
from mailweir.services.settings import Settings
from mailweir.services.stream.connection import client_options, close, failure, unreachable
from mailweir.services.stream.record import Outgoing

__all__ = ["KafkaSink", "waves"]

# aiokafka puts a batch of every partition of a broker into one request, and a broker drops requests above 100 MiB
# (socket.request.max.bytes): six large mails at once would be sent again and again. So no more than this is in flight.
_WAVE_BYTES = 64 * 1024 * 1024
# Before compression, of one record. The broker's own limit holds for what is left after it: a mail that its producer
# compressed into mail.raw has to fit into mail.dead as well.
_LARGEST_BYTES = 96 * 1024 * 1024
_NO_LEADER = (NotLeaderForPartitionError, LeaderNotAvailableError, UnknownTopicOrPartitionError, KafkaTimeoutError)


class InvalidRecord(BrokerResponseError):  # type: ignore[misc]  # aiokafka has no types
    """The broker's error 87, which aiokafka does not know: such as a record without key on a compacted topic."""

    errno = 87
    message = "INVALID_RECORD"


kafka_errors.setdefault(InvalidRecord.errno, InvalidRecord)
_NEVER = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidRecord)


class KafkaSink:
    """An idempotent producer with `acks=all`; replaced whole after any failure.

    An idempotent producer whose batch expired may have used up a sequence number: what it sends next would be refused for
    ever. A new one costs a round trip.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect."""
        try:
            self._producer = await self._connect()
        except (KafkaError, OSError) as error:
            raise unreachable(self._settings, error) from error

    async def stop(self) -> None:
        """Flush and close."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await close(producer.stop())
            await close(producer._sender.close())  # noqa: SLF001 - goes on for ever where the line above was cut short
            await close(producer.client.close())

    async def send(self, records: Sequence[Outgoing]) -> None:
        """Write all and wait for all confirmations."""
        try:
            if self._producer is None:
                self._producer = await self._connect()
            for wave in waves(records, _WAVE_BYTES):
                await _write(self._producer, wave)
        except (KafkaError, OSError) as error:
            raise failure("connect to write", error) from error
        except (DependencyError, AccessRefused, WriteRefused):
            await self.stop()
            raise

    async def _connect(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(**self._options())
        try:
            await producer.start()
        except (KafkaError, OSError):
            await producer.stop()
            raise
        return producer

    def _options(self) -> dict[str, Any]:
        compression = self._settings.producer_compression
        return client_options(self._settings) | {
            "acks": "all",
            "enable_idempotence": True,
            "linger_ms": self._settings.producer_linger_ms,
            "compression_type": None if compression == "none" else compression,
            "max_request_size": _LARGEST_BYTES,
        }


async def _write(producer: AIOKafkaProducer, wave: Sequence[Outgoing]) -> None:
    """Offer all, then wait for all: an error names the topic."""
    confirmations = [await _offer(producer, record) for record in wave]
    outcomes = await asyncio.gather(*confirmations, return_exceptions=True)
    for record, outcome in zip(wave, outcomes, strict=True):
        if isinstance(outcome, (KafkaError, OSError)):
            raise _failed(record.topic, outcome) from outcome
        if isinstance(outcome, BaseException):
            raise outcome


async def _offer(producer: AIOKafkaProducer, record: Outgoing) -> Any:
    """Hand one record to the producer; what comes back waits for the confirmation."""
    try:
        return await producer.send(record.topic, value=record.value, key=record.key, headers=record.headers)
    except (KafkaError, OSError) as error:
        raise _failed(record.topic, error) from error


def _failed(topic: str, error: Exception) -> DependencyError | AccessRefused | WriteRefused:
    """A deleted topic looks like one without a leader; only a person can tell and bring it back."""
    if isinstance(error, _NEVER):
        return WriteRefused(f"{topic} does not take a record ({error}): see `mailweir topics check`", topic=topic)
    hint = " (is it there? see `mailweir topics check`)" if isinstance(error, _NO_LEADER) else ""
    return failure(f"write to {topic}{hint}", error)


def waves(records: Sequence[Outgoing], limit: int) -> Iterator[list[Outgoing]]:
    """The records in order, in runs of at most `limit` bytes; a larger one is a run of its own."""
    wave: list[Outgoing] = []
    size = 0
    for record in records:
        if wave and size + record.size > limit:
            yield wave
            wave, size = [], 0
        wave.append(record)
        size += record.size
    if wave:
        yield wave
