"""The latest decision of each mail, read as they come."""

from __future__ import annotations

from mailweir.schemas.events import Decision
from mailweir.services.stream.tail import Tail

__all__ = ["Decisions"]

_PULL_MS = 200


class Decisions:
    """By the producer's id of the mail. A mail's decisions lie in one partition, so the last one read is the latest."""

    def __init__(self, topic: Tail) -> None:
        """`topic` stands at its beginning."""
        self._topic = topic
        self._latest: dict[str, Decision] = {}

    def __getitem__(self, name: str) -> Decision:
        return self._latest[name]

    async def last_by(self, version: str, wanted: set[str]) -> bool:
        """Read what has come; True if that version was the last to decide each of these mails."""
        while records := await self._topic.pull(_PULL_MS):
            for decision in (Decision.decode(record.value) for record in records):
                if decision.input_id:
                    self._latest[decision.input_id] = decision
        return all(name in self._latest and self._latest[name].model.version == version for name in wanted)
