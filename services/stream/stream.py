"""`Stream`: what an agent subscribes to. One call gives it batches; readers and producers stay in here."""

from __future__ import annotations

import faust
from faust.types.channels import ChannelT

from mailweir.schemas.topics import Topic
from mailweir.services.settings import Settings
from mailweir.services.stream.backoff import Backoff
from mailweir.services.stream.batch import Batch, Publisher
from mailweir.services.stream.breaker import RejectBreaker
from mailweir.services.stream.gather import BatchLimits, Gatherer, Weigh
from mailweir.services.stream.letters import Writer
from mailweir.services.stream.plan import ReaderPlan
from mailweir.services.stream.reader import Reader
from mailweir.services.stream.record import Record
from mailweir.services.stream.spans import StageSpans
from mailweir.services.stream.transport import Bus, Journal, Lookup, Sink
from mailweir.services.telemetry import Metrics, Traces

__all__ = ["Stream", "one_token"]


def one_token(_: Record) -> int:
    """For stages whose cost does not follow from length: the count and the bytes close the batch."""
    return 1


class Stream:
    """The streams of one worker process."""

    def __init__(self, app: faust.App, bus: Bus, settings: Settings, metrics: Metrics, traces: Traces) -> None:
        self.readers: list[Reader] = []
        self._app = app
        self._bus = bus
        self._settings = settings
        self._metrics = metrics
        self._traces = traces

    def batches(
        self, topic: Topic, stage: str, weigh: Weigh = one_token, limits: BatchLimits | None = None
    ) -> ChannelT[Batch]:
        """A channel of batches of `topic` for the agent `stage`; `weigh` counts towards the token budget.

        `limits` say when a batch closes where a stage's batches are not those of the settings.
        """
        channel: ChannelT[Batch] = self._app.channel(maxsize=1)
        reader = self._reader(topic, stage, channel, Gatherer(limits or self._limits(), weigh))
        self.readers.append(reader)
        return channel

    def reads(self, stage: str) -> bool:
        """Whether partitions of this stage are ours now; a worker of a group that has none only stands by."""
        return any(reader.progress.partitions for reader in self.readers if reader.plan.stage == stage)

    def lookup(self) -> Lookup:
        """A reader of single records."""
        return self._bus.lookup()

    def journal(self, topic: Topic) -> Journal:
        """A reader of a whole topic, for what a stage must know before it decides anything."""
        return self._bus.journal(topic.full_name(self._settings.topic_prefix))

    def spans(self, stage: str) -> StageSpans:
        """What makes the spans of a stage."""
        return StageSpans(self._traces, stage, self._settings)

    def sink(self) -> Sink:
        """A producer of its own, for what follows from no batch."""
        return self._bus.sink()

    def _limits(self) -> BatchLimits:
        settings = self._settings
        return BatchLimits(settings.batch_mails, settings.batch_tokens, settings.batch_wait_ms, settings.batch_bytes)

    def _reader(self, topic: Topic, stage: str, channel: ChannelT[Batch], gatherer: Gatherer) -> Reader:
        settings, name = self._settings, topic.full_name(self._settings.topic_prefix)
        backoff = Backoff(settings.retry_backoff_max_ms)
        breaker = RejectBreaker(stage, settings.reject_window, settings.reject_ratio_max)
        sink, writer = self._bus.sink(), Writer(stage, settings.topic_prefix, self._traces)
        return Reader(
            ReaderPlan(stage, settings.kafka_bootstrap, settings.rebalance_wait_ms, backoff),
            self._bus.source(name, f"{settings.group_prefix}.{stage}"),
            sink,
            Publisher(writer, sink, breaker, self._metrics, backoff, self.spans(stage)),
            channel,
            gatherer,
            self._metrics,
        )
