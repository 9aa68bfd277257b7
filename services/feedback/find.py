"""The mail and the decision that a word is about, fetched from Kafka by their coordinates: there is no second database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from mailweir.schemas.errors import InvalidEvent, MailExpired, RecordError, UnknownDecision
from mailweir.schemas.events import Coordinates, Decision, Email, Feedback
from mailweir.schemas.headers import TraceParent
from mailweir.schemas.topics import CLASSIFIED, PARSED
from mailweir.services.settings import Settings
from mailweir.services.stream import Lookup, Record

__all__ = ["Finder", "Found", "decision_at"]


@dataclass(frozen=True, slots=True)
class Found:
    """What a word is about."""

    decision: Decision
    email: Email
    made: TraceParent | None  # the span that decided


class Finder:
    """Finds what a batch of words is about, all at once."""

    def __init__(self, lookup: Lookup, settings: Settings) -> None:
        self._lookup = lookup
        self._parsed = settings.topic_name(PARSED.name)
        self._classified = settings.topic_name(CLASSIFIED.name)
        self._wait_ms = settings.feedback_find_ms

    async def stop(self) -> None:
        """Disconnect."""
        await self._lookup.stop()

    async def find(self, words: Sequence[Feedback]) -> list[Found | RecordError]:
        """Decision and mail of each word, in order, or why there is none.

        Raises:
            DependencyError: Kafka is away.
        """
        places = {place for word in words for place in self._places(word)}
        records = await self._lookup.at(places, self._wait_ms) if places else {}
        searched = await self._search(words, records)
        return [self._pair(word, records, searched.get(word.email_id.encode(), ())) for word in words]

    def _places(self, word: Feedback) -> list[Coordinates]:
        """What is fetched for a word; nothing for one that names another topic."""
        asked = ((word.source, self._parsed), (word.decision_source, self._classified))
        return [place for place, topic in asked if place is not None and place.topic == topic]

    async def _search(
        self, words: Sequence[Feedback], records: Mapping[Coordinates, Record]
    ) -> Mapping[bytes, Sequence[Record]]:
        """Decisions of those that do not say where theirs lies: behind the mail, under the same key."""
        since: dict[bytes, int] = {}
        for word in words:
            if word.decision_source is None and (mail := records.get(word.source)):
                key = word.email_id.encode()
                since[key] = min(mail.timestamp_ms, since.get(key, mail.timestamp_ms))
        return await self._lookup.by_key(self._classified, since, self._wait_ms) if since else {}

    def _pair(
        self, word: Feedback, records: Mapping[Coordinates, Record], searched: Collection[Record]
    ) -> Found | RecordError:
        try:
            email = self._email(word, records.get(word.source))
            if word.decision_source is None:
                decision, made = self._of_several(word, searched)
                return Found(decision, email, made.parent)
            if word.decision_source.topic != self._classified:
                raise InvalidEvent(f"decision_source: not on {self._classified}, where decisions lie")
            record = records.get(word.decision_source)
            decision = decision_at(word, word.decision_source, record)
            return Found(decision, email, record.parent if record else None)
        except RecordError as error:
            error.detail.setdefault("email_id", word.email_id)
            return error

    def _email(self, word: Feedback, record: Record | None) -> Email:
        if word.source.topic != self._parsed:
            raise InvalidEvent(f"source: not on {self._parsed}, where mails lie", fields=["source"])
        if record is None:
            raise MailExpired(f"{_said(word.source)} is no longer there: the mail expired before the word came")
        try:
            email = Email.decode(record.value)
        except RecordError as error:
            raise MailExpired(f"{_said(word.source)} is no mail: {error.message}") from error
        if email.email_id != word.email_id:
            raise MailExpired(f"{_said(word.source)} is another mail: the topic was made anew, or the place is wrong")
        return email

    def _of_several(self, word: Feedback, records: Collection[Record]) -> tuple[Decision, Record]:
        for record in records:
            try:
                decision = Decision.decode(record.value)
            except RecordError:  # somebody else's rubbish under this key
                continue
            if (decision.decision_id, decision.email_id) == (word.decision_id, word.email_id):
                return decision, record
        raise UnknownDecision(
            f"{word.decision_id} is not among the {len(records)} records of its mail that {self._wait_ms} ms found on "
            f"{self._classified}: give decision_source"
        )


def decision_at(word: Feedback, place: Coordinates, record: Record | None) -> Decision:
    """The decision that a word is about, which is what lies where it says.

    Raises:
        UnknownDecision: nothing lies there, or something else.
    """
    if record is None:
        raise UnknownDecision(f"{_said(place)} is not there")
    try:
        decision = Decision.decode(record.value)
    except RecordError as error:
        raise UnknownDecision(f"{_said(place)} is no decision: {error.message}") from error
    if (decision.decision_id, decision.email_id) != (word.decision_id, word.email_id):
        raise UnknownDecision(f"{_said(place)} is decision {decision.decision_id}, not {word.decision_id}")
    return decision


def _said(place: Coordinates) -> str:
    return f"{place.topic}[{place.partition}]@{place.offset}"
