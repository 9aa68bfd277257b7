"""Replay: a past decision is derived again from its mail with the bundle that it names, and must come out the same."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from mailweir.models.runtime import Bundle
from mailweir.schemas.errors import BundleError, MailExpired, RecordError
from mailweir.schemas.events import Decision, ModelRef
from mailweir.services.classify.again.mails import FoundMail, Mails
from mailweir.services.classify.again.past import past
from mailweir.services.classify.again.shelf import Shelf
from mailweir.services.classify.decide import decide_all, id_under
from mailweir.services.classify.rules import Rulebook
from mailweir.services.stream import Record, Scan

__all__ = ["Outcome", "Replayed", "Replayer", "Step", "replay_past"]

_BATCH = 64  # decisions whose mails are in memory at once

Outcome = Literal["same", "differs", "expired", "bundle_gone", "other_rules", "failed"]
"""What became of a replay. All but the first two could not be derived again: the mail or the bundle is gone, the decision was made
under rules (or a policy over scores) that are not at hand, or what lies at its place is no such mail."""

_WITHOUT = Rulebook()


@dataclass(frozen=True, slots=True)
class Replayed:
    """A past decision, and what came of deriving it again."""

    decision: Decision
    outcome: Outcome
    fields: tuple[str, ...] = ()  # that differ
    again: Decision | None = None  # what was derived, where something was
    why: str = ""  # it could not be


@dataclass(frozen=True, slots=True)
class Step:
    """What came of the next records."""

    read: int  # records, those included that nobody asked for
    replayed: Sequence[Replayed] = ()
    unreadable: Sequence[tuple[Record, RecordError]] = ()  # no decisions


class Replayer:
    """Derives decisions again, batch by batch."""

    def __init__(self, mails: Mails, shelf: Shelf, rules: Rulebook) -> None:
        self._mails = mails
        self._shelf = shelf
        self._books = [rules, _WITHOUT] if rules.rules else [_WITHOUT]

    async def replay(self, decisions: Sequence[Decision]) -> list[Replayed]:
        """One outcome per decision, in order.

        Raises:
            DependencyError: Kafka is away.
        """
        found = await self._mails.of(decisions)
        done: dict[int, Replayed] = {}
        groups: dict[ModelRef, dict[int, FoundMail]] = defaultdict(dict)
        for number, (decision, mail) in enumerate(zip(decisions, found, strict=True)):
            if isinstance(mail, FoundMail):
                groups[decision.model][number] = mail
            else:
                outcome: Outcome = "expired" if isinstance(mail, MailExpired) else "failed"
                done[number] = Replayed(decision, outcome, why=mail.message)
        for model, mails in groups.items():
            done |= await asyncio.to_thread(self._group, model, decisions, mails)
        return [done[number] for number in range(len(decisions))]

    def _group(
        self, model: ModelRef, decisions: Sequence[Decision], mails: dict[int, FoundMail]
    ) -> dict[int, Replayed]:
        """Decisions of one bundle, by number."""
        try:
            bundle = self._shelf.get(model)
        except BundleError as error:
            return {number: Replayed(decisions[number], "bundle_gone", why=error.message) for number in mails}
        done: dict[int, Replayed] = {}
        for book in self._books:
            mine = [n for n in mails if n not in done and _made_under(decisions[n], bundle, book)]
            done |= _derive(bundle, book, {number: (decisions[number], mails[number]) for number in mine})
        others = {number: _under_others(decisions[number], self._books[0]) for number in mails if number not in done}
        return done | others


def _made_under(decision: Decision, bundle: Bundle, rules: Rulebook) -> bool:
    return decision.decision_id == id_under(decision.email_id, bundle.manifest, rules.digest)


def _derive(bundle: Bundle, rules: Rulebook, pairs: dict[int, tuple[Decision, FoundMail]]) -> dict[int, Replayed]:
    if not pairs:
        return {}
    decided = decide_all(bundle, rules, [(mail.email, decision.source) for decision, mail in pairs.values()])
    return {
        number: _compared(decision, one.decision)
        for (number, (decision, _)), one in zip(pairs.items(), decided, strict=True)
    }


def _compared(decision: Decision, again: Decision) -> Replayed:
    fields = decision.differences(again)
    return Replayed(decision, "differs" if fields else "same", fields, again)


def _under_others(decision: Decision, rules: Rulebook) -> Replayed:
    hand = f"those in hand (digest {rules.digest})" if rules.rules else "none, and MAILWEIR_CLASSIFY_RULES names none"
    why = (
        f"its id was made under other rules than {hand}, or by another version of the policy: set MAILWEIR_CLASSIFY_RULES "
        "to the file of that time, or replay with the release of that time"
    )
    return Replayed(decision, "other_rules", why=why)


async def replay_past(
    scan: Scan, replayer: Replayer, until: datetime | None = None, only: str = ""
) -> AsyncIterator[Step]:
    """Replay what is left of a scan before the end that was fixed, or the decision with the id `only` where it is found first.

    Raises:
        DependencyError: Kafka is away.
    """
    async for read, records in past(scan, until, only):
        decisions = [one for _, one in records if isinstance(one, Decision) and only in ("", one.decision_id)]
        bad = [(record, one) for record, one in records if isinstance(one, RecordError)]
        yield Step(read, unreadable=bad)
        for first in range(0, len(decisions), _BATCH):
            yield Step(0, await replayer.replay(decisions[first : first + _BATCH]))
        if only and decisions:
            return
