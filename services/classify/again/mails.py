"""Mails of past decisions, fetched from Kafka by the lineage: there is no second database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailweir.schemas.errors import InvalidEvent, MailExpired, RecordError
from mailweir.schemas.events import Coordinates, Decision, Email
from mailweir.schemas.topics import PARSED
from mailweir.services.settings import Settings
from mailweir.services.stream import Lookup, Record

__all__ = ["FIND_MS", "FoundMail", "Mails"]

FIND_MS = 60_000  # for one batch; a broker gives some hundred records in well under a second


@dataclass(frozen=True, slots=True)
class FoundMail:
    """A mail and the record that it was read from."""

    email: Email
    record: Record


class Mails:
    """Reads `mail.parsed` by place."""

    def __init__(self, lookup: Lookup, settings: Settings) -> None:
        self._lookup = lookup
        self._topic = settings.topic_name(PARSED.name)

    async def of(self, decisions: Sequence[Decision]) -> list[FoundMail | RecordError]:
        """The mail of each decision, in order: `MailExpired` for one that is no longer there, another error for one that is no mail.

        Raises:
            DependencyError: Kafka is away.
        """
        places = {place for one in decisions if (place := self._place(one))}
        records = await self._lookup.at(places, FIND_MS) if places else {}
        return [self._mail(decision, records) for decision in decisions]

    def _place(self, decision: Decision) -> Coordinates | None:
        return decision.source if decision.source and decision.source.topic == self._topic else None

    def _mail(self, decision: Decision, records: Mapping[Coordinates, Record]) -> FoundMail | RecordError:
        place = self._place(decision)
        if place is None:
            return InvalidEvent(f"the decision does not say where on {self._topic} its mail lies")
        said = f"{place.topic}[{place.partition}]@{place.offset}"
        record = records.get(place)
        if record is None:
            return MailExpired(f"{said} is no longer there")
        try:
            email = Email.decode(record.value)
        except RecordError as error:
            return error
        if email.email_id != decision.email_id:
            return InvalidEvent(f"{said} is another mail: the topic was made anew")
        return FoundMail(email, record)
