"""`Swapper`: follows the champion of a registry while mail goes on."""

from __future__ import annotations

import time

from mailweir.models.registry import Promotion
from mailweir.services.classify.decide import Decider
from mailweir.services.classify.follow import Follower
from mailweir.services.classify.heap import trim
from mailweir.services.classify.source import BundleSource
from mailweir.services.telemetry import Metrics, logger

__all__ = ["Swapper"]

log = logger(__name__)


class Swapper(Follower):
    """Looks at the pointer, loads a new champion in a thread of its own, hands it to the decider, which takes it with its next batch.

    The pointer is polled: a consumer group would tell one worker of many, and the event on `mail.models` is a hint only.
    """

    abstract = False

    def __init__(self, source: BundleSource, decider: Decider, metrics: Metrics, poll_ms: int) -> None:
        super().__init__("swap", poll_ms)
        self._source = source
        self._decider = decider
        self._metrics = metrics

    async def _look(self) -> None:
        about = ""
        try:
            champion = await self._thread.do(self._source.champion)
            if champion is None or champion.manifest_sha256 == self._decider.serves:
                self._tries.forget()
                return
            about = champion.manifest_sha256
            if self._tries.due(about):
                await self._swap(champion)
                self._tries.forget()
        except Exception as error:  # noqa: BLE001 - whatever a new bundle breaks on, the one that is served goes on
            if not self.should_stop:  # the thread may be gone
                self._failed(about, error)

    async def _swap(self, champion: Promotion) -> None:
        started, before = time.perf_counter(), self._decider.manifest.model.version
        kept = served = self._decider.kept(champion.manifest_sha256)
        if served is None:
            self._decider.forget_previous()  # two bundles in memory, not three
            served = await self._thread.do(self._source.load, champion, self._decider.bundle)
        self._decider.serve(served)
        self._metrics.swaps.inc()
        log.info(
            "bundle_swapped",
            model=champion.model.name,
            version=champion.model.version,
            previous=before,
            number=champion.number,
            kept=kept is not None,
            seconds=round(time.perf_counter() - started, 3),
        )
        await self._thread.do(trim)

    def _failed(self, about: str, error: Exception) -> None:
        failure = self._tries.failed(about, error)
        self._metrics.swap_failures.labels(failure.code).inc()
        if failure.new:  # one line, however often it is tried
            serving, pause = self._decider.manifest.model.version, round(failure.pause_s, 1)
            log.error("swap_failed", code=failure.code, error=failure.message, serving=serving, next_try_s=pause)
