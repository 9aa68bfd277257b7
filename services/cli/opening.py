"""Opening a topic for looking at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mailweir.schemas.topics import Topic
from mailweir.services.settings import Settings
from mailweir.services.stream.tail import Tail
from mailweir.services.topics import require

__all__ = ["open_topic"]


@asynccontextmanager
async def open_topic(settings: Settings, topic: Topic) -> AsyncIterator[Tail]:
    """The topic, read without a group.

    Raises:
        BrokerUnreachable: nobody answers, or our login is refused.
        TopicMissing: there is no such topic, or our user may not see it.
    """
    await require(settings, (topic,))
    async with Tail(settings, topic) as opened:
        yield opened
