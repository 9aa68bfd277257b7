"""What the review agent holds open: the log of questions, the way to the mails, and the windows of scores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from mailweir.models.text import compose
from mailweir.schemas.errors import DependencyError, RecordError
from mailweir.schemas.events import Coordinates, Decision, Email, ReviewAsked, utc_now
from mailweir.schemas.topics import PARSED, REVIEW
from mailweir.services.app import Host, Part
from mailweir.services.review.desk import Desk
from mailweir.services.review.pace import Limits
from mailweir.services.review.questions import Questions
from mailweir.services.review.select import Candidate, Selector
from mailweir.services.review.sketch import Sketch, sketch_of
from mailweir.services.stream import Batch, Kept, Record, Result, decode_all
from mailweir.services.telemetry import logger

__all__ = ["STAGE", "Asker"]

STAGE = "review"

log = logger(__name__)

_LOOK_SECONDS = 60.0


class Asker(Part):
    """Chooses questions. Asks nothing before it has read what was asked."""

    abstract = False

    def __init__(self, host: Host, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__()
        self._host = host
        settings = host.settings
        self._wait_ms = settings.feedback_find_ms
        self._desk = Desk(
            host.stream.journal(REVIEW), host.stream.lookup(), settings.topic_prefix, settings.feedback_find_ms
        )
        self._parsed = settings.topic_name(PARSED.name)
        self._selector = Selector(Limits.of(settings))
        self._clock = clock
        self._questions = Questions()
        self._said: set[str] = set()  # decisions of the questions that the last batch was to publish
        self._turn = asyncio.Lock()  # what reads the topics reads one thing at a time

    async def on_stop(self) -> None:
        """Disconnect."""
        await self._desk.stop()

    async def crash(self, reason: BaseException) -> None:
        """A defect of ours: the worker must stop; it would go on ready, and do nothing."""
        self._host.stop_because(reason)
        await super().crash(reason)

    async def ask(self, batch: Batch) -> list[Result]:
        """One result per record, in order: a question, an error, or nothing to say.

        Raises:
            DependencyError: Kafka is away; nothing was asked.
        """
        async with self._turn:
            found = decode_all(batch.records, Decision)
            chosen = await self._choose(found, batch.records)
            return _results(batch.records, found, chosen)

    def count(self, results: Sequence[Result]) -> None:
        """Count the questions among what was published: what is given up before that was never asked."""
        for question in results:
            if isinstance(question, ReviewAsked):
                self._host.metrics.review_asked.labels(question.why).inc()

    async def _choose(self, found: Sequence[Decision | RecordError], records: Sequence[Record]) -> list[ReviewAsked]:
        now, pairs = self._clock(), zip(found, records, strict=True)
        questions = await self._known()
        decisions = [(one, record.coordinates) for one, record in pairs if isinstance(one, Decision)]
        candidates = self._selector.candidates(decisions, questions, now)
        chosen = self._selector.choose(candidates, await self._sketches(candidates), questions, now)
        self._said = {question.decision_id for question in chosen}
        self._budget_left(now)
        return chosen

    async def _known(self) -> Questions:
        """What was asked, as the topic says; what a batch that was given up had chosen is forgotten."""
        asked = await self._desk.questions()
        if not self._said <= {question.decision_id for question in asked}:
            self._questions = Questions()
        self._said = set()
        for question in asked:
            self._questions.add(question)
        return self._questions

    def _budget_left(self, now: datetime) -> None:
        left = self._host.settings.review_budget - self._questions.asked_today(now)
        self._host.metrics.review_budget_left.set(max(left, 0))

    async def _sketches(self, candidates: Sequence[Candidate]) -> dict[Coordinates, Sketch]:
        """Of the mails that are still there."""
        places = {candidate.mail for candidate in candidates if candidate.mail.topic == self._parsed}
        records = await self._desk.lookup.at(places, self._wait_ms) if places else {}
        found = {}
        for place, record in records.items():
            try:
                found[place] = sketch_of(compose(Email.decode(record.value)).text)
            except RecordError as error:  # the topic was made anew, or the decision names a wrong place
                log.warning("record_ignored", code=error.code, error=error.message, **record.log_context())
        return found

    @Part.task
    async def _look(self) -> None:
        """Answers change what is open, and midnight the budget, also when no decision comes."""
        while not self.should_stop:
            await self._measure()
            await self.sleep(_LOOK_SECONDS)

    async def _measure(self) -> None:
        try:
            async with self._turn:
                waiting, asked = len(await self._desk.open()), len(await self._desk.questions())
        except DependencyError as error:
            log.warning("dependency_away", stage=STAGE, step="look", error=error.message)
            return
        self._host.metrics.review_open.set(waiting)
        self._host.metrics.review_answered.set(asked - waiting)
        self._budget_left(self._clock())


def _results(
    records: Sequence[Record], found: Sequence[Decision | RecordError], chosen: Sequence[ReviewAsked]
) -> list[Result]:
    """A decision that stands in a batch twice is asked about where it stands first."""
    asked = {question.decision_source: question for question in chosen}
    return [
        one if isinstance(one, RecordError) else asked.get(record.coordinates, Kept(one.email_id))
        for one, record in zip(found, records, strict=True)
    ]
