"""The review agent: `mail.classified` → `mail.review`, the decisions that people are asked about."""

from __future__ import annotations

from faust.types.streams import StreamT

from mailweir.schemas.topics import CLASSIFIED, REVIEW
from mailweir.services.app import Host
from mailweir.services.review.asker import STAGE, Asker
from mailweir.services.stream import Batch

__all__ = ["register"]


def register(host: Host) -> None:
    """Add the agent to `host`.

    One worker is enough for any stream of decisions; several ask at most a batch's questions more than the budget, since each
    sees on the topic what the others asked.
    """
    asker = Asker(host)
    host.parts.append(asker)

    @host.agent(CLASSIFIED, STAGE)
    async def review(batches: StreamT[Batch]) -> None:
        async for batch in batches:
            async with batch:
                results = await asker.ask(batch)
                await batch.publish(REVIEW, results)
                asker.count(results)
