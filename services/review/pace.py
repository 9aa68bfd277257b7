"""How a day's budget is spread over the day: what may be asked by now, and how good a question must be to be worth it. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import get_args

from mailweir.schemas.events import ReviewWhy
from mailweir.services.settings import Settings

__all__ = ["FEW", "Limits", "Window", "allowance", "cut", "share_wanted"]

_DAY = timedelta(days=1)
_AHEAD = 1 / 24  # of the day: the first question of a day need not wait for its share of the budget
_SIZE = 2_000  # scores: the share of one in 2,000 is the smallest that can be told
_LEAST_SPAN = 600.0  # seconds: a burst at the start is no day's rate
FEW = 50
"""Below so many scores nobody knows what is unsure here."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be asked in a UTC day."""

    budget: int
    random_share: float
    diverse_share: float
    likeness: float = 0.5  # share of word triples in common from which two mails are one question

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """As the settings say."""
        return cls(settings.review_budget, settings.review_random_share, settings.review_diverse_share)

    @property
    def budgets(self) -> Mapping[ReviewWhy, int]:
        """The budget by why, whole questions that add up to it."""
        lots = round(self.budget * self.random_share)
        diverse = min(round(self.budget * self.diverse_share), self.budget - lots)
        return dict(zip(get_args(ReviewWhy), (self.budget - lots - diverse, diverse, lots), strict=True))


class Window:
    """The latest scores of one kind and when they came."""

    def __init__(self, size: int = _SIZE) -> None:
        self._scores: deque[tuple[float, float]] = deque(maxlen=size)  # seconds since 1970, score

    def __len__(self) -> int:
        return len(self._scores)

    def add(self, score: float, now: datetime) -> None:
        """A decision came."""
        self._scores.append((now.timestamp(), score))

    def rate(self, now: datetime) -> float:
        """Decisions a second."""
        if not self._scores:
            return 0.0
        span = now.timestamp() - self._scores[0][0]
        full = len(self._scores) == self._scores.maxlen
        return len(self._scores) / max(span, 1.0 if full else _LEAST_SPAN)

    def best(self, share: float) -> float:
        """The score that this share of the window reaches."""
        ranked = sorted((score for _, score in self._scores), reverse=True)
        return ranked[min(int(share * len(ranked)), len(ranked) - 1)] if ranked else 0.0


def allowance(budget: int, asked: int, now: datetime) -> int:
    """How many may be asked now: the budget comes in evenly over the UTC day, an hour ahead."""
    return max(int(budget * min(_passed(now) + _AHEAD, 1.0)) - asked, 0)


def share_wanted(budget: int, asked: int, window: Window, now: datetime) -> float:
    """The share of what will still come today that the rest of the budget can pay for, 0 to 1."""
    expected = window.rate(now) * (1 - _passed(now)) * _DAY.total_seconds()
    left = max(budget - asked, 0)
    return min(left / expected, 1.0) if expected > 0 else float(left > 0)


def cut(budget: int, asked: int, window: Window, now: datetime) -> float:
    """The least score that is worth a question now."""
    return window.best(share_wanted(budget, asked, window, now))


def _passed(now: datetime) -> float:
    """Share of the UTC day that is over."""
    at = now.astimezone(UTC)
    return (at - at.replace(hour=0, minute=0, second=0, microsecond=0)) / _DAY
