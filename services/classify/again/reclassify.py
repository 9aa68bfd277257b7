"""Repair: mails whose latest decision is a demoted version's are decided again by the champion, and nothing else is touched.

Nothing is kept but what is on the topic: a mail that was repaired has a latest decision of another version, so a repair that was
killed goes on where it was when it is started again, and one that is done finds nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from mailweir.models.registry import Registry
from mailweir.schemas.errors import ChampionChanged, MailExpired, RecordError
from mailweir.schemas.events import Coordinates, Decision, utc_now
from mailweir.schemas.topics import CLASSIFIED
from mailweir.services.classify.again.demotion import Demotion
from mailweir.services.classify.again.mails import FIND_MS, FoundMail, Mails
from mailweir.services.classify.again.past import milliseconds
from mailweir.services.classify.decide import decide_all
from mailweir.services.classify.rules import Rulebook, read_rules
from mailweir.services.classify.source import Served, bundle_source
from mailweir.services.settings import Settings
from mailweir.services.stream import Bus, Outgoing, Record
from mailweir.services.stream.letters import Writer

__all__ = ["Repair", "Report"]

STAGE = "reclassify"
_POLLS = 3  # of the registry: after so many a worker has followed the demotion and ended the batch in hand
_PATIENCE = 10  # times as long; a worker that has not followed by then does not follow

Place = tuple[int, int]  # partition and offset on the topic of decisions: less than a decision, there may be a million
Pair = tuple[Decision, FoundMail]


@dataclass(slots=True)
class Report:
    """What was done; every mail found is in one of the three below."""

    found: int = 0  # mails whose latest decision was the demoted version's
    redecided: int = 0
    changed: int = 0  # of these, where a label is another
    expired: int = 0  # the mail is no longer on its topic: the old decision stays
    failed: int = 0  # what lies there is no such mail, or its decision does not fit
    still_deciding: bool = False  # some worker has not followed the demotion


class Repair:
    """One run. `advance` is called with records read and mails done."""

    def __init__(self, bus: Bus, settings: Settings, registry: Registry, demotion: Demotion) -> None:
        self._settings = settings
        self._registry = registry
        self._demotion = demotion
        self._source = bundle_source(settings)
        self._topic = settings.topic_name(CLASSIFIED.name)
        self._scan, self._sink, self._lookup = bus.scan(self._topic), bus.sink(), bus.lookup()
        self._mails = Mails(self._lookup, settings)
        self._version = demotion.model.version.encode()
        self._writer = Writer(STAGE, settings.topic_prefix)

    async def run(self, report: Report, advance: Callable[[int], None] = lambda _: None) -> Report:
        """Repair until no worker decides with the demoted version any more; `report` is filled as it goes.

        Raises:
            BrokerUnreachable: Kafka does not answer.
            DependencyError: it went away meanwhile; run again.
            ChampionChanged: another version was promoted meanwhile; run again.
            BundleError: the champion cannot be served.
        """
        served = await asyncio.to_thread(self._source.load, self._demotion.champion)
        rules = self._rules(served)
        try:
            await self._scan.start(milliseconds(self._demotion.since))
            await self._sink.start()
            async for found in self._passes(report):
                await self._repair(list(found.values()), served, rules, report, advance)
        finally:
            await asyncio.gather(self._scan.stop(), self._sink.stop(), self._lookup.stop())
        return report

    def _rules(self, served: Served) -> Rulebook:
        file = self._settings.classify_rules
        return read_rules(file, served.bundle.manifest) if file else Rulebook()

    async def _passes(self, report: Report) -> AsyncIterator[Mapping[bytes, Place]]:
        """What is to be repaired, again and again up to the end of the log, since workers lag behind the pointer."""
        poll = timedelta(milliseconds=self._settings.registry_poll_ms)
        ended = self._demotion.ended or utc_now() - _PATIENCE * _POLLS * poll
        late = max(utc_now(), ended) + _PATIENCE * _POLLS * poll
        while True:
            found = await self._look()
            yield found
            if not found and utc_now() >= ended + _POLLS * poll:
                return
            if utc_now() >= late:
                report.still_deciding = True
                return
            await asyncio.sleep(0 if found else poll.total_seconds())

    async def _look(self) -> dict[bytes, Place]:
        """Up to the end as it is now: per email id where the decision lies, if the latest one is the demoted version's."""
        found: dict[bytes, Place] = {}
        await self._scan.to_end()
        while pulled := await self._scan.pull():
            for record in pulled:
                key = record.key or b""
                if self._is_demoted(record):
                    found.pop(key, None)  # its place in the order is that of the latest
                    found[key] = record.partition, record.offset
                else:
                    found.pop(key, None)
        return found

    def _is_demoted(self, record: Record) -> bool:
        if self._version not in record.value:  # most are another's: not worth decoding
            return False
        try:
            return Decision.decode(record.value).model == self._demotion.model
        except RecordError:  # nobody's decision
            return False

    async def _repair(
        self,
        places: Sequence[Place],
        served: Served,
        rules: Rulebook,
        report: Report,
        advance: Callable[[int], None],
    ) -> None:
        report.found += len(places)
        size = self._settings.batch_mails
        for first in range(0, len(places), size):
            batch = places[first : first + size]
            pairs = await self._pairs(batch, report)
            if pairs:
                await self._decide(pairs, served, rules, report)
            advance(len(batch))

    async def _pairs(self, places: Sequence[Place], report: Report) -> list[Pair]:
        """The old decisions with their mails; those without one are counted."""
        wanted = [Coordinates(topic=self._topic, partition=at, offset=offset) for at, offset in places]
        records = await self._lookup.at(wanted, FIND_MS)
        old = [Decision.decode(records[place].value) for place in wanted if place in records]
        report.expired += len(wanted) - len(old)
        mails = await self._mails.of(old)
        expired = sum(isinstance(mail, MailExpired) for mail in mails)
        pairs = [(one, mail) for one, mail in zip(old, mails, strict=True) if isinstance(mail, FoundMail)]
        report.expired += expired
        report.failed += len(old) - len(pairs) - expired
        return pairs

    async def _decide(self, pairs: Sequence[Pair], served: Served, rules: Rulebook, report: Report) -> None:
        mails = [(mail.email, old.source) for old, mail in pairs]
        reasons = self._settings.classify_reasons
        decided = await asyncio.to_thread(decide_all, served.bundle, rules, mails, reasons=reasons)
        made = [
            one.decision.model_copy(update={"supersedes": old.decision_id})
            for one, (old, _) in zip(decided, pairs, strict=True)
        ]
        outgoing = [self._outgoing(mail, new) for new, (_, mail) in zip(made, pairs, strict=True)]
        self._same_champion()
        await self._sink.send([one for one in outgoing if one is not None])
        for new, (old, _), sent in zip(made, pairs, outgoing, strict=True):
            report.failed += sent is None
            report.redecided += sent is not None
            report.changed += sent is not None and _labels(new) != _labels(old)

    def _outgoing(self, mail: FoundMail, decision: Decision) -> Outgoing | None:
        """The record; None for one that the topic does not take."""
        made = self._writer.result(mail.record, CLASSIFIED, decision, 1)
        return None if self._writer.is_dead(made) else made

    def _same_champion(self) -> None:
        model = self._demotion.model
        champion = self._registry.champion(model.name)
        if champion is None or champion.manifest_sha256 != self._demotion.champion.manifest_sha256:
            now = champion.model.version if champion else "none"
            message = (
                f"the champion of {model.name} is {now} now, no longer {self._demotion.champion.model.version}: what was repaired "
                f"stays; `mailweir models reclassify {model.version}` goes on with the new one"
            )
            raise ChampionChanged(message, champion=now)


def _labels(decision: Decision) -> tuple[dict[str, str], frozenset[str]]:
    return {name: head.label for name, head in decision.heads.items()}, frozenset(
        action.label for action in decision.next_actions
    )
