"""What was asked: by day, mail, label and text. Pure; the same log gives the same."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import get_args

from mailweir.schemas.events import Decision, ReviewAsked, ReviewWhy
from mailweir.services.review.sketch import Sketch, likeness

__all__ = ["Questions"]


class Questions:
    """All questions that are kept."""

    def __init__(self, asked: Iterable[ReviewAsked] = ()) -> None:
        self._decisions: set[str] = set()
        self._emails: set[str] = set()
        self._days: Counter[tuple[date, ReviewWhy]] = Counter()
        self._labels: Counter[tuple[str, str]] = Counter()  # how often a head's label was asked about
        self._sketches: defaultdict[int, set[Sketch]] = defaultdict(set)  # by each hash in them: few share any
        for question in asked:
            self.add(question)

    def add(self, question: ReviewAsked) -> None:
        """One more; one that is known is the same."""
        if question.decision_id in self._decisions:
            return
        self._decisions.add(question.decision_id)
        self._emails.add(question.email_id)
        self._days[_day(question.asked_at), question.why] += 1
        self._labels.update(_features(question.labels, question.language))
        for member in question.sketch:
            self._sketches[member].add(question.sketch)

    def asked(self, why: ReviewWhy, now: datetime) -> int:
        """How many of this UTC day, of one kind."""
        return self._days[_day(now), why]

    def asked_today(self, now: datetime) -> int:
        """How many of this UTC day."""
        return sum(self.asked(why, now) for why in get_args(ReviewWhy))

    def knows(self, email_id: str) -> bool:
        """Whether the mail was asked about, be it under an older decision."""
        return email_id in self._emails

    def nearest(self, sketch: Sketch) -> float:
        """Likeness of the most similar mail that was asked about."""
        near = {other for member in sketch for other in self._sketches.get(member, ())}
        return max((likeness(sketch, other) for other in near), default=0.0)

    def rarity(self, decision: Decision) -> float:
        """How seldom labels like these were asked about, 0 to 1: mean information of a label and the language, in shares of the most."""
        labels = {name: head.label for name, head in decision.heads.items()}
        found = [self._labels[feature] for feature in _features(labels, decision.language)]
        most = math.log(len(self._decisions) + 2)
        return sum(math.log((len(self._decisions) + 1) / (count + 1)) for count in found) / (most * len(found))


def _features(labels: dict[str, str], language: str) -> list[tuple[str, str]]:
    return [*labels.items(), ("", language)]


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
