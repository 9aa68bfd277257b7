"""`ShadowScorer`: a candidate decides a share of the mails once more, where nobody waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from mailweir.models.registry import Shadow
from mailweir.schemas.errors import MailweirError, OutputTooLarge, RecordError
from mailweir.schemas.events import Decision, Email
from mailweir.schemas.headers import event_headers
from mailweir.schemas.ids import digest
from mailweir.schemas.topics import SHADOW
from mailweir.services.classify.decide import Decider, decide_all
from mailweir.services.classify.follow import Follower
from mailweir.services.classify.heap import trim
from mailweir.services.classify.source import BundleSource, Served
from mailweir.services.settings import Settings
from mailweir.services.stream import Kept, Outgoing, Record, Stream
from mailweir.services.stream.letters import FRAMING, lineage
from mailweir.services.stream.spans import Handled
from mailweir.services.telemetry import Metrics, logger

__all__ = ["ShadowScorer", "in_sample"]

log = logger(__name__)

_STAGE = "shadow"
_WAITING = 64  # mails of the sample; what comes while so many wait is dropped


def in_sample(email_id: str, share: float) -> bool:
    """Whether a mail belongs to this share: the same answer in every worker, at every delivery, for every candidate.

    A larger share holds the mails of a smaller one.
    """
    return int(digest("shadow", email_id)[:13], 16) < share * 16**13


class ShadowScorer(Follower):
    """Follows the registry's shadow; takes mails that the champion has decided, one at a time, while the champion has none in hand.

    It has a thread and a producer of its own. Whatever goes wrong is counted and forgotten: its decisions are published at most
    once a delivery, no mail is rejected for it and no commit waits for it. It is no sandbox: a bundle that takes the process
    down takes the champion with it, which is why it is verified as a champion is.
    """

    abstract = False

    def __init__(
        self, source: BundleSource, decider: Decider, stream: Stream, metrics: Metrics, settings: Settings
    ) -> None:
        super().__init__("shadow", settings.registry_poll_ms)
        self._source = source
        self._decider = decider
        self._sink = stream.sink()
        self._spans = stream.spans(_STAGE)
        self._metrics = metrics
        self._topic = settings.topic_name(SHADOW.name)
        self._pointer: Shadow | None = None
        self._served: Served | None = None
        self._said: set[str] = set()  # codes of failures of this bundle that the log has
        self._queue: asyncio.Queue[tuple[Record, Email]] = asyncio.Queue(_WAITING)

    async def on_start(self) -> None:
        """Begin to follow; the producer connects with the first decision, so that its trouble keeps no worker from starting."""
        await super().on_start()
        self.add_future(self._work())

    async def on_stop(self) -> None:
        """Drop what waits and let the thread go."""
        await super().on_stop()
        await self._sink.stop()

    def offer(self, records: Sequence[Record], emails: Sequence[Email | RecordError]) -> None:
        """Take mails whose decisions are published, and the records of them; those of the sample wait their turn or are dropped."""
        if self._served is None or self._pointer is None:
            return
        share = self._pointer.share
        for record, email in zip(records, emails, strict=True):
            if isinstance(email, RecordError) or not in_sample(email.email_id, share):
                continue
            if self._queue.full():
                self._metrics.shadow_dropped.inc()
            else:
                self._queue.put_nowait((record, email))

    async def _work(self) -> None:
        while not self.should_stop:
            record, email = await self._queue.get()
            # one mail at a time: a batch of the champion that begins meanwhile shares the cores with one mail at most
            await self._decider.idle.wait()
            if (served := self._served) is not None:
                await self._score(served, record, email)

    async def _score(self, served: Served, record: Record, email: Email) -> None:
        version, begun = served.bundle.manifest.model.version, time.time_ns()
        try:
            mail = [(email, record.coordinates)]
            [decided] = await self._thread.do(decide_all, served.bundle, self._decider.rules, mail)
            outgoing = self._outgoing(record, decided.decision)
            await self._sink.send([outgoing])
            self._metrics.shadow_decisions.labels(self._metrics.label.version(version)).inc()
            self._metrics.onnxruntime.labels("shadow").observe(decided.scores.runtime_ms / 1_000)
            self._record(Handled(record, decided.decision, outgoing, None), begun)
        except Exception as error:  # noqa: BLE001 - whatever a candidate breaks on, mail goes on
            if not self.should_stop:  # the thread may be gone
                code = self._failed(version, error, record)
                self._record(Handled(record, Kept(email.email_id), None, code), begun)

    def _record(self, handled: Handled, begun_ns: int) -> None:
        if span := self._spans.mail(handled, begun_ns, time.time_ns()):
            self._spans.traces.record(span)

    def _outgoing(self, record: Record, decision: Decision) -> Outgoing:
        email = decision.email_id
        trace = self._spans.traces.context(*lineage(record, decision, email), _STAGE, email)
        made = Outgoing(self._topic, email.encode(), decision.encode(), event_headers(decision, "classify", trace))
        if made.size + FRAMING > SHADOW.max_record_bytes:
            raise OutputTooLarge(f"{made.size} bytes, {self._topic} takes {SHADOW.max_record_bytes}", size=made.size)
        return made

    def _failed(self, version: str, error: Exception, record: Record) -> str:
        code = error.code if isinstance(error, MailweirError) else "unexpected"
        self._metrics.shadow_failures.labels(code).inc()
        if code not in self._said:  # one line a bundle and code; the metric counts them
            # a foreign error's text may quote the mail
            what = error.message if isinstance(error, MailweirError) else type(error).__name__
            log.warning("shadow_failed", version=version, code=code, error=what, **record.log_context())
            self._said.add(code)
        return code

    async def _look(self) -> None:
        about = ""
        try:
            pointer = await self._thread.do(self._source.shadow)
            if pointer is None or pointer.manifest_sha256 == self._decider.serves:  # it has become the champion
                await self._leave()
                self._tries.forget()
            else:
                about = pointer.manifest_sha256
                if self._tries.due(about):
                    await self._take(pointer)
        except Exception as error:  # noqa: BLE001 - whatever a candidate breaks on, the champion serves on
            if not self.should_stop:
                await self._give_up(about, error)

    async def _take(self, pointer: Shadow) -> None:
        if self._served is None or self._served.sha256 != pointer.manifest_sha256:
            await self._leave()  # before the next is loaded: one candidate in memory, not two
            served = await self._thread.do(self._source.load, pointer, self._decider.bundle)
            self._decider.check(served)
            self._served = served
            self._said.clear()
            self._metrics.shadow.labels(pointer.model.name, pointer.model.version).set(1)
            log.info("shadow_loaded", version=pointer.model.version, share=pointer.share)
        self._pointer = pointer
        self._tries.forget()

    async def _leave(self) -> None:
        served, self._served, self._pointer = self._served, None, None
        while not self._queue.empty():
            self._queue.get_nowait()
        if served is None:
            return
        model = served.bundle.manifest.model
        self._metrics.shadow.remove(model.name, model.version)
        log.info("shadow_left", version=model.version)
        del served
        await self._thread.do(trim)

    async def _give_up(self, about: str, error: Exception) -> None:
        """A pointer that cannot be read says nothing new: the candidate goes on. One that does not load is not there."""
        failure = self._tries.failed(about, error)
        self._metrics.shadow_load_failures.labels(failure.code).inc()
        if failure.new:
            pause = round(failure.pause_s, 1)
            log.error("shadow_not_loaded", code=failure.code, error=failure.message, next_try_s=pause)
