"""The classify agent: `mail.parsed` → `mail.classified`."""

from __future__ import annotations

from faust.types.streams import StreamT

from mailweir.schemas.events import Email
from mailweir.schemas.topics import CLASSIFIED, PARSED
from mailweir.services.app import Host
from mailweir.services.classify.decide import Decider
from mailweir.services.classify.shadow import ShadowScorer
from mailweir.services.classify.source import bundle_source
from mailweir.services.classify.swap import Swapper
from mailweir.services.stream import Batch, Record, decode_all
from mailweir.services.telemetry import note_ages

__all__ = ["register"]


def register(host: Host) -> None:
    """Add the agent and the model it needs to `host`."""
    settings = host.settings
    source = bundle_source(settings)
    decider = Decider(source, host.metrics, reasons=settings.classify_reasons, rules=settings.classify_rules)
    host.parts.append(decider)
    shadow = ShadowScorer(source, decider, host.stream, host.metrics, settings)
    if source.registry:
        host.parts += [Swapper(source, decider, host.metrics, settings.registry_poll_ms), shadow]

    def tokens(record: Record) -> int:
        """About four bytes of mail make a token."""
        return min(len(record.value) // 4, decider.longest)

    @host.agent(PARSED, "classify", tokens)
    async def classify(batches: StreamT[Batch]) -> None:
        async for batch in batches:
            async with batch:
                emails = decode_all(batch.records, Email)
                places = [record.coordinates for record in batch.records]
                with batch.step("decide"):
                    decisions = await decider.decide(emails, places)
                await batch.publish(CLASSIFIED, decisions)
                came = [email.received_at for email in emails if isinstance(email, Email) and email.received_at]
                note_ages(host.metrics, "classify", came)
                shadow.offer(batch.records, emails)
