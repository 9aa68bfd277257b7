"""A consumer without a group: it commits nothing, so that looking changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from mailweir.schemas.errors import DependencyError
from mailweir.services.settings import Settings
from mailweir.services.stream.connection import client_options, close, failure

__all__ = ["Groupless", "consumer_of"]

T = TypeVar("T")


def consumer_of(settings: Settings, part: str, *topics: str, **options: Any) -> AIOKafkaConsumer:
    """Not started; of each topic named it is given all partitions. `part` tells the broker's logs which of ours it is."""
    return AIOKafkaConsumer(
        *topics,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        **options,
        **client_options(settings, part),
    )


class Groupless:
    """Connects when it is first asked; a consumer that failed, or took too long, is replaced by one more of `make`."""

    def __init__(self, make: Callable[[], AIOKafkaConsumer]) -> None:
        self._make = make
        self._consumer: AIOKafkaConsumer | None = None

    async def stop(self) -> None:
        """Disconnect."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await close(consumer.stop())

    async def ask(self, doing: str, seconds: float, late: str, work: Callable[[AIOKafkaConsumer], Awaitable[T]]) -> T:
        """Do the work within that time.

        Raises:
            DependencyError: it took longer, which is said by `late`, or Kafka failed while `doing` it.
        """
        try:
            async with asyncio.timeout(seconds):
                return await work(await self._connected())
        except TimeoutError as error:
            await self.stop()
            raise DependencyError(late) from error
        except (KafkaError, OSError) as error:
            await self.stop()
            raise failure(doing, error) from error

    async def _connected(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            self._consumer = self._make()  # also if it does not get connected: `stop` closes it
            await self._consumer.start()
        return self._consumer
