"""Does the broker still answer, and is there anything to read? Said once when that changes, and counted all the while."""

from __future__ import annotations

from mailweir.schemas.errors import AccessRefused, DependencyError
from mailweir.services.stream.transport import Contact, Source
from mailweir.services.telemetry import Metrics, logger

__all__ = ["ContactWatch"]

log = logger(__name__)

_HOPE_SECONDS = 2.0  # a broker that only changes its leader is back by then


class ContactWatch:
    """The broker as one stage sees it. The caller brings the clock and looks about once a second."""

    def __init__(self, stage: str, bootstrap: str, source: Source, metrics: Metrics) -> None:
        self.away = False
        self._stage = stage
        self._bootstrap = bootstrap
        self._source = source
        self._explained = False
        self._seconds = metrics.contact.labels(stage)
        self._retries = metrics.retries.labels(stage, "contact")

    async def look(self, now: float, partitions: int | None) -> None:
        """Take in what the source knows; it has so many partitions, or waits for its group (None), which is silent too.

        Raises:
            AccessRefused: the broker is there and refuses our login.
            TopicMissing: the topic was deleted.
        """
        contact = self._source.contact()
        silent = now - contact.answered_at
        self._seconds.set(silent)
        away = silent > contact.patience_s and (partitions is not None or bool(contact.trouble))
        if away:
            self._wait_out(contact, silent)
        elif self.away:
            log.warning("broker_back", **self._context())
        self.away = away
        await self._explain(partitions)

    def hopeless(self, now: float) -> bool:
        """Whether a worker that has to stop need not wait for the broker: it fails us, or has long said nothing."""
        contact = self._source.contact()
        return now - contact.answered_at > (_HOPE_SECONDS if contact.trouble else contact.patience_s)

    def _wait_out(self, contact: Contact, silent: float) -> None:
        self._retries.inc()
        if contact.refused:
            raise AccessRefused(
                f"Kafka at {self._bootstrap} refuses our login ({contact.trouble}) since {silent:.0f} s: check "
                "MAILWEIR_KAFKA_USERNAME and MAILWEIR_KAFKA_PASSWORD, and start the worker again."
            )
        if not self.away:
            log.error("broker_away", seconds=round(silent), cause=contact.trouble or "no answer", **self._context())

    async def _explain(self, partitions: int | None) -> None:
        """Why we have nothing to read: the topic is gone, or others have all of it."""
        if partitions:
            self._explained = False
        if partitions != 0 or self._explained:
            return
        try:
            there = await self._source.partitions()
        except DependencyError:
            return  # the next look asks again
        self._explained = True
        log.info("no_partitions_for_us", hint="more workers than partitions", partitions=there, **self._context())

    def _context(self) -> dict[str, str]:
        return {"stage": self._stage, "bootstrap": self._bootstrap}
