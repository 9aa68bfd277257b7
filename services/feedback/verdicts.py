"""Verdicts of people as metrics: which of them are on decisions that the review queue drew by lot, and so measure accuracy."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from mailweir.models.feedback import FeedbackRow
from mailweir.schemas.errors import DeliveryError, DependencyError, RecordError
from mailweir.schemas.events import ReviewAsked
from mailweir.schemas.topics import REVIEW
from mailweir.services.app import Host, Part
from mailweir.services.telemetry import logger

__all__ = ["VerdictCounter"]

log = logger(__name__)

_LOOK_SECONDS = 5.0
_WAITING = 10_000  # rows that a broker that is away may keep from being counted; beyond that the oldest are not


class VerdictCounter(Part):
    """Counts rows that were kept, after it has read what was asked up to then. Holds up no row, and forgets at the end.

    A word counts when it comes: one that replaces an earlier word counts beside it, and a withdrawal takes nothing away.
    `mailweir feedback accuracy` reads the ledger and knows better.
    """

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._metrics = host.metrics
        self._journal = host.stream.journal(REVIEW)
        self._chances: dict[str, float] = {}  # by decision id, of those that were drawn by lot
        self._waiting: deque[FeedbackRow] = deque(maxlen=_WAITING)

    async def on_stop(self) -> None:
        """Disconnect."""
        await self._journal.stop()

    def kept(self, rows: Iterable[FeedbackRow]) -> None:
        """These are in the ledger now."""
        self._waiting.extend(row for row in rows if row.corrected.heads)

    @Part.task
    async def _look(self) -> None:
        while not self.should_stop:
            await self._count()
            await self.sleep(_LOOK_SECONDS)

    async def _count(self) -> None:
        if not self._waiting:
            return
        count = len(self._waiting)  # what comes during the read may have been asked after it
        try:
            await self._read()
        except (DependencyError, DeliveryError) as error:  # no figure of ours is worth a word that is not kept
            log.warning("dependency_away", stage="feedback", step="verdicts", error=error.message)
            return
        for _ in range(min(count, len(self._waiting))):
            row = self._waiting.popleft()
            self._judge(row, self._chances.get(row.decision_id) if row.origin == "human" else None)

    async def _read(self) -> None:
        for record in await self._journal.rest():
            try:
                asked = ReviewAsked.decode(record.value)
            except RecordError as error:
                log.warning("record_ignored", code=error.code, error=error.message, **record.log_context())
                continue
            if asked.why == "random" and asked.chance:
                self._chances[asked.decision_id] = asked.chance

    def _judge(self, row: FeedbackRow, chance: float | None) -> None:
        sample = row.origin if row.origin != "human" else "lot" if chance else "given"
        version = self._metrics.label.version(row.model_version)
        for head, said in row.corrected.heads.items():
            decided = row.decided.heads.get(head)
            if decided is None:
                continue
            verdict = "right" if decided.label == said.label else "wrong"
            self._metrics.verdicts.labels(head, version, sample, verdict).inc()
            if chance:
                self._metrics.verdict_weight.labels(head, version, verdict).inc(1 / chance)
