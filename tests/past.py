"""A log of mails and decisions by bundles of a registry, as workers leave it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mailweir.models.registry import Registry
from mailweir.models.runtime import Bundle
from mailweir.schemas.events import Coordinates, Decision, Email
from mailweir.services.classify.decide import decide_all
from mailweir.services.classify.rules import Rulebook
from mailweir.services.memory import MemoryBus
from mailweir.services.stream import Outgoing

NONE = Rulebook()


@dataclass
class Log:
    """In memory."""

    bus: MemoryBus
    registry: Registry

    def mail(self, number: int) -> tuple[Email, Coordinates]:
        """A mail on its topic."""
        text = f"please ship order PO-{number:05d} by Friday"
        email = Email(email_id=f"{number:064x}", mailbox="sales", subject="Order", body=text)
        place = self.bus.write(Outgoing("mail.parsed", email.email_id.encode(), email.encode())).coordinates
        return email, place

    def decide(self, version: str, *numbers: int, rules: Rulebook = NONE, **changes: Any) -> list[Decision]:
        """Decisions of a version about new mails; `changes` are what it did not say."""
        bundle = Bundle.load(self.registry.root / "email" / version)
        made = [one.decision for one in decide_all(bundle, rules, [self.mail(number) for number in numbers])]
        decisions = [decision.model_copy(update=changes) for decision in made]
        for decision in decisions:
            self.write(decision)
        return decisions

    def write(self, decision: Decision) -> None:
        """Onto its topic."""
        self.bus.write(Outgoing("mail.classified", decision.email_id.encode(), decision.encode()))

    def decisions(self) -> dict[int, list[Decision]]:
        """Per mail all decisions, oldest first."""
        found: dict[int, list[Decision]] = {}
        for record in self.bus.records("mail.classified"):
            decision = Decision.decode(record.value)
            found.setdefault(int(decision.email_id, 16), []).append(decision)
        return found
