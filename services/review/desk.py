"""Questions and their answers, read from the topics: no state is stored anywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from mailweir.schemas.errors import RecordError
from mailweir.schemas.events import Feedback, ReviewAsked, utc_now
from mailweir.schemas.topics import FEEDBACK, REVIEW
from mailweir.services.review.answers import Answers, open_questions
from mailweir.services.stream import Journal, Lookup, Record
from mailweir.services.telemetry import logger

__all__ = ["Desk"]

log = logger(__name__)

# A word is looked for from a day before its question on: clocks differ, and people may have been faster than the question.
_BEFORE = timedelta(days=1)
_AGAIN = timedelta(minutes=5)  # of what was read already, for clocks that go behind


class Desk:
    """All questions that are kept and whether they were answered. Reads on where it was."""

    def __init__(self, journal: Journal, lookup: Lookup, prefix: str, wait_ms: int) -> None:
        self.lookup = lookup
        self._journal = journal
        self._feedback = FEEDBACK.full_name(prefix)
        self._wait_ms = wait_ms
        self._asked: dict[str, ReviewAsked] = {}  # by decision id
        self._answers = Answers()
        self._read_to: dict[str, datetime] = {}  # by decision id: up to here the words about it are known

    async def stop(self) -> None:
        """Disconnect."""
        await self._journal.stop()
        await self.lookup.stop()

    async def questions(self) -> list[ReviewAsked]:
        """All that were asked and not yet forgotten.

        Raises:
            DependencyError: the broker is away.
        """
        oldest = utc_now() - timedelta(milliseconds=REVIEW.retention_ms)
        for record in await self._journal.rest():
            self._take(record)
        self._asked = {name: one for name, one in self._asked.items() if one.asked_at > oldest}
        self._read_to = {name: time for name, time in self._read_to.items() if name in self._asked}
        return list(self._asked.values())

    async def open(self) -> list[ReviewAsked]:
        """Those that nobody has answered yet, the oldest first.

        Raises:
            DependencyError: the broker is away.
        """
        asked, now = await self.questions(), utc_now()
        await self._read_answers(asked, now)
        return open_questions(asked, self._answers, now)

    async def is_open(self, question: ReviewAsked) -> bool:
        """Whether nobody has answered it by now."""
        await self._read_answers([question], utc_now())
        return not self._answers.has(question.decision_id)

    async def _read_answers(self, asked: Sequence[ReviewAsked], now: datetime) -> None:
        since: dict[bytes, int] = {}
        for question in asked:
            start = self._read_to.get(question.decision_id, question.asked_at - _BEFORE)
            key, stamp = question.email_id.encode(), int(start.timestamp() * 1_000)
            since[key] = min(since.get(key, stamp), stamp)
        if since:
            for records in (await self.lookup.by_key(self._feedback, since, self._wait_ms)).values():
                self._hear(records)
        self._read_to |= {question.decision_id: now - _AGAIN for question in asked}

    def _hear(self, records: Iterable[Record]) -> None:
        for record in records:
            try:
                self._answers.add(Feedback.decode(record.value))
            except RecordError:  # the feedback agent rejects it
                continue

    def _take(self, record: Record) -> None:
        try:
            question = ReviewAsked.decode(record.value)
        except RecordError as error:
            log.warning("record_ignored", code=error.code, error=error.message, **record.log_context())
            return
        self._asked.setdefault(question.decision_id, question)
