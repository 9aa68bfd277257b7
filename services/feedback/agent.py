"""The feedback agent: `mail.feedback` → rows of the ledger, and `mail.shards` for each shard that closes."""

from __future__ import annotations

from faust.types.streams import StreamT

from mailweir.schemas.topics import DEAD, FEEDBACK
from mailweir.services.app import Host
from mailweir.services.feedback.keeper import STAGE, Keeper
from mailweir.services.feedback.redaction import UNREDACTED, Redaction
from mailweir.services.feedback.verdicts import VerdictCounter
from mailweir.services.stream import Batch, BatchLimits, one_token

__all__ = ["register"]


def register(host: Host, redaction: Redaction = UNREDACTED) -> None:
    """Add the agent and its ledger to `host`.

    Raises:
        SettingsError: the ledger's address cannot be opened.
    """
    verdicts = VerdictCounter(host)
    keeper = Keeper(host, redaction, verdicts)
    host.parts += [verdicts, keeper]
    settings = host.settings
    # each batch is a file of the ledger: a longer wait makes fewer of them, and nobody waits for an answer here
    limits = BatchLimits(
        settings.batch_mails, settings.batch_tokens, settings.feedback_batch_wait_ms, settings.batch_bytes
    )

    @host.agent(FEEDBACK, STAGE, one_token, limits)
    async def feedback(batches: StreamT[Batch]) -> None:
        async for batch in batches:
            async with batch:
                await batch.publish(DEAD, await keeper.keep(batch))
