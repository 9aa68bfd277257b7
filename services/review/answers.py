"""Which questions were answered: anybody's word about the decision that was not taken back. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from mailweir.schemas.events import Feedback, ReviewAsked
from mailweir.schemas.topics import REVIEW

__all__ = ["Answers", "open_questions"]


class Answers:
    """Words by decision, told in any order and as often as one likes."""

    def __init__(self) -> None:
        self._words: defaultdict[str, set[str]] = defaultdict(set)
        self._withdrawn: set[str] = set()

    def add(self, word: Feedback) -> None:
        """Somebody said something."""
        if word.withdraws:
            self._withdrawn.add(word.withdraws)
        if word.heads or word.next_actions is not None or word.entities_added or word.entities_removed:
            self._words[word.decision_id].add(word.event_id)

    def has(self, decision_id: str) -> bool:
        """Whether a word about it stands."""
        return bool(self._words[decision_id] - self._withdrawn)


def open_questions(asked: Iterable[ReviewAsked], answers: Answers, now: datetime) -> list[ReviewAsked]:
    """Those without an answer whose mail is kept, the oldest first: each its once."""
    since = now - timedelta(milliseconds=REVIEW.retention_ms)
    by_id = {one.decision_id: one for one in asked if one.asked_at > since and not answers.has(one.decision_id)}
    return sorted(by_id.values(), key=lambda one: (one.asked_at, one.decision_id))
