"""Where questions, decisions and mails are fetched from, and answers go to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mailweir.schemas.errors import InputError, MailExpired, RecordError
from mailweir.schemas.events import Coordinates, Decision, Email, Feedback, ReviewAsked
from mailweir.schemas.topics import CLASSIFIED, FEEDBACK, PARSED, REVIEW
from mailweir.services.cli.words import word_record
from mailweir.services.review.desk import Desk
from mailweir.services.settings import Settings
from mailweir.services.stream import Bus, Record, Sink

__all__ = ["Asked", "Place", "opened"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with all that it takes to answer it."""

    question: ReviewAsked
    decision: Decision
    email: Email


class Place:
    """The topics as somebody who answers sees them."""

    def __init__(self, desk: Desk, sink: Sink, settings: Settings) -> None:
        self._desk = desk
        self._sink = sink
        self._settings = settings

    async def questions(self) -> list[ReviewAsked]:
        """Those that nobody has answered, the oldest first."""
        return await self._desk.open()

    async def is_open(self, question: ReviewAsked) -> bool:
        """Whether nobody has answered it meanwhile."""
        return await self._desk.is_open(question)

    async def named(self, decision_id: str) -> ReviewAsked:
        """The question about a decision, answered or not; the first digits of its id suffice.

        Raises:
            InputError: there is none, or several begin so.
        """
        found = [one for one in await self._desk.questions() if one.decision_id.startswith(decision_id)]
        if len(found) != 1:
            what = "no question is" if not found else f"{len(found)} questions are"
            raise InputError(
                f"{what} about a decision {decision_id}…: `mailweir review next --json` shows the open ones"
            )
        return found[0]

    async def decision(self, question: ReviewAsked) -> Decision:
        """What is asked about.

        Raises:
            MailExpired: it is no longer where it lay.
        """
        decision = Decision.decode((await self._record(question, question.decision_source)).value)
        if decision.decision_id != question.decision_id:
            raise _gone(question)
        return decision

    async def asked(self, question: ReviewAsked) -> Asked:
        """The question with its decision and mail.

        Raises:
            MailExpired: either is no longer where it lay.
        """
        decision = await self.decision(question)
        email = Email.decode((await self._record(question, question.source)).value)
        if email.email_id != question.email_id:
            raise _gone(question)
        return Asked(question, decision, email)

    async def send(self, word: Feedback) -> None:
        """Put an answer onto mail.feedback."""
        await self._sink.send([word_record(self._settings, word, "review")])

    async def _record(self, question: ReviewAsked, place: Coordinates) -> Record:
        allowed = {self._settings.topic_name(topic.name) for topic in (CLASSIFIED, PARSED)}
        found = {}
        if place.topic in allowed:
            found = dict(await self._desk.lookup.at([place], self._settings.feedback_find_ms))
        if place not in found:
            raise _gone(question)
        return found[place]


def _gone(question: ReviewAsked) -> RecordError:
    return MailExpired(f"the mail of decision {question.decision_id[:12]} is no longer there: nobody can be asked")


@asynccontextmanager
async def opened(settings: Settings, bus: Bus | None = None) -> AsyncIterator[Place]:
    """Connect; `bus` is Kafka unless another is given.

    Raises:
        BrokerUnreachable: nobody answers, or our login is refused.
        TopicMissing: a topic is not there, or our user may not see it.
    """
    if bus is None:
        from mailweir.services.stream import KafkaBus
        from mailweir.services.topics import require

        await require(settings, (PARSED, CLASSIFIED, REVIEW, FEEDBACK))
        bus = KafkaBus(settings)
    journal = bus.journal(settings.topic_name(REVIEW.name))
    desk = Desk(journal, bus.lookup(), settings.topic_prefix, settings.feedback_find_ms)
    sink = bus.sink()
    await sink.start()
    try:
        yield Place(desk, sink, settings)
    finally:
        await sink.stop()
        await desk.stop()
