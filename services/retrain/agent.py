"""The retrain agent: `mail.shards` → `mail.retrain`, a request when the policy calls for one."""

from __future__ import annotations

from faust.types.streams import StreamT

from mailweir.schemas.errors import RecordError
from mailweir.schemas.events import ShardClosed
from mailweir.schemas.topics import DEAD, SHARDS
from mailweir.services.app import Host
from mailweir.services.retrain.counts import CountShard
from mailweir.services.retrain.demote import Demoter
from mailweir.services.retrain.request import configured_champion
from mailweir.services.retrain.shards import counter_of
from mailweir.services.retrain.trigger import STAGE, Trigger
from mailweir.services.stream import Batch, Kept, Result, decode_all

__all__ = ["register"]


def register(host: Host, count: CountShard | None = None) -> None:
    """Add the agent and its trigger to `host`.

    A shard is done once it was judged with all others. What a judgement asks for is written before: a worker that dies in between
    judges again, finds the request on the topic, and asks for nothing.
    """
    demoter = Demoter.of(host.settings, host.metrics)
    trigger = Trigger(
        host, count or counter_of(host.settings.ledger), lambda: configured_champion(host.settings), demoter
    )
    host.parts.append(trigger)

    @host.agent(SHARDS, STAGE)
    async def retrain(batches: StreamT[Batch]) -> None:
        async for batch in batches:
            async with batch:
                shards = decode_all(batch.records, ShardClosed)
                if not all(isinstance(shard, RecordError) for shard in shards):
                    await trigger.consider()
                await batch.publish(DEAD, [_result(shard) for shard in shards])


def _result(shard: ShardClosed | RecordError) -> Result:
    return shard if isinstance(shard, RecordError) else Kept("")
