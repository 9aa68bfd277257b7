"""What the people of a shard said: right and wrong per head and per label. Pure; reading the file is the caller's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mailweir.schemas.events import ShardClosed

__all__ = ["CountShard", "Said", "ShardCounts", "Tally", "total"]


@dataclass(frozen=True, slots=True)
class Tally:
    """How often something was called right and wrong."""

    right: int = 0
    wrong: int = 0

    @property
    def said(self) -> int:
        """Words about it."""
        return self.right + self.wrong

    @property
    def wrong_share(self) -> float:
        """Share called wrong; 0 where nothing was said."""
        return self.wrong / self.said if self.said else 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.right + other.right, self.wrong + other.wrong)


@dataclass(frozen=True, slots=True)
class Said:
    """Verdicts on decisions of one version, and who gave them."""

    heads: Tally = Tally()
    people: frozenset[str] = frozenset()
    words: int = 0  # a word judges several heads of one mail, which are right or wrong together

    def __add__(self, other: Said) -> Said:
        return Said(self.heads + other.heads, self.people | other.people, self.words + other.words)


@dataclass(frozen=True, slots=True)
class ShardCounts:
    """A shard in figures. Only people's last words count: not rules, not implicit signs, nothing withdrawn."""

    human: int = 0  # words of people: one person about one decision
    heads: Tally = Tally()  # verdicts on single heads
    expected: float = (
        0.0  # sum of the probabilities that the model gave the labels judged: how many it expected to be right
    )
    labels: Mapping[str, Tally] = field(
        default_factory=dict
    )  # "head/label" that people call right → whether it was decided
    first_at: datetime | None = None  # of the earliest word
    last_at: datetime | None = None  # of the latest
    versions: Mapping[tuple[str, datetime], Said] = field(
        default_factory=dict
    )  # version that decided, and the minute in which it was said → what; a shard holds an hour, so these are few


CountShard = Callable[[ShardClosed], ShardCounts]
"""Reads a shard's file. Blocking; raises DependencyError while the store is away, InputError where it lies elsewhere, is gone or no shard."""


def total(counts: Iterable[ShardCounts]) -> ShardCounts:
    """Several shards as one, without what was said of single versions."""
    human, heads, expected = 0, Tally(), 0.0
    labels: dict[str, Tally] = {}
    moments: list[datetime] = []
    for one in counts:
        human, heads, expected = human + one.human, heads + one.heads, expected + one.expected
        for label, tally in one.labels.items():
            labels[label] = labels.get(label, Tally()) + tally
        moments += [moment for moment in (one.first_at, one.last_at) if moment is not None]
    return ShardCounts(human, heads, expected, labels, min(moments, default=None), max(moments, default=None))
