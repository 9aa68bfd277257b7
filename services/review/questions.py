"""What was asked: by day, mail, label and text. Pure; the same log gives the same."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime

from mailweir.schemas.events import Decision, ReviewAsked, ReviewWhy
from mailweir.services.review.sketch import Sketch, likeness

__all__ = ["Questions"]


class Questions:
    """All questions that are kept, seen from one moment."""

    def __init__(self, asked: Iterable[ReviewAsked], now: datetime) -> None:
        self._day = now.astimezone(UTC).date()
        self._emails: set[str] = set()
        self._labels: Counter[tuple[str, str]] = Counter()  # how often a head's label was asked about
        self._sketches: list[Sketch] = []
        self.today: Counter[ReviewWhy] = Counter()
        for question in asked:
            self.add(question)

    def add(self, question: ReviewAsked) -> None:
        """One more."""
        self._emails.add(question.email_id)
        self._labels.update(_features(question.labels, question.language))
        self._sketches.append(question.sketch)
        if _day(question.asked_at) == self._day:
            self.today[question.why] += 1

    def knows(self, email_id: str) -> bool:
        """Whether the mail was asked about, be it under an older decision."""
        return email_id in self._emails

    def nearest(self, sketch: Sketch) -> float:
        """Likeness of the most similar mail that was asked about."""
        return max((likeness(sketch, other) for other in self._sketches), default=0.0)

    def rarity(self, decision: Decision) -> float:
        """How seldom labels like these were asked about, 0 to 1: mean information of a label and the language, in shares of the most."""
        labels = {name: head.label for name, head in decision.heads.items()}
        found = [self._labels[feature] for feature in _features(labels, decision.language)]
        most = math.log(len(self._sketches) + 2)
        return sum(math.log((len(self._sketches) + 1) / (count + 1)) for count in found) / (most * len(found))


def _features(labels: dict[str, str], language: str) -> list[tuple[str, str]]:
    return [*labels.items(), ("", language)]


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
