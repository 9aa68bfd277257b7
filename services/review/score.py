"""What is known of a decision without its mail: how unsure it is, and whether the lot falls on it. Pure."""

from __future__ import annotations

from mailweir.schemas.events import Decision, HeadDecision
from mailweir.schemas.ids import digest

__all__ = ["lot", "teaches", "uncertainty"]

_DIGITS = 13  # of hex: 52 bits, as many as a float holds


def uncertainty(decision: Decision) -> float:
    """1 less the margin of the label over the runner-up, mean of the heads; 0: sure of all, 1: every head is a tie."""
    heads = decision.heads.values()
    return sum(map(_closeness, heads)) / len(heads) if heads else 0.0


def teaches(decision: Decision) -> bool:
    """Whether an answer can make the model better: not where there is no text, or none that it is made for."""
    return decision.review_cause in (None, "abstained")


def lot(decision: Decision) -> float:
    """A number from 0 to 1 that follows from the id alone: delivered again, a decision draws the same."""
    return float(int(digest("review", decision.decision_id)[:_DIGITS], 16) / 16**_DIGITS)


def _closeness(head: HeadDecision) -> float:
    runner_up = head.alternatives[0].probability if head.alternatives else 0.0
    return 1 - max(head.probability - runner_up, 0.0)
