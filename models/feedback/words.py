"""Whose word counts: repeats collapse and withdrawals are applied at reading, since the ledger only grows."""

from __future__ import annotations

from collections.abc import Iterable

from mailweir.models.feedback.rows import FeedbackRow, once

__all__ = ["last_words", "taken_back"]


def last_words(rows: Iterable[FeedbackRow]) -> list[FeedbackRow]:
    """The last word per person and decision, in the order in which they were given. Pure.

    - A word that its own person withdrew counts as never said: the one before it stands again. Nobody withdraws another's.
    - A withdrawal that was withdrawn never happened, unless another gave it in the person's name: what somebody had erased
      does not come back. The latest withdrawals are looked at first.
    - Two words of one person at the same millisecond: the one that lies later in the log is the last.
    """
    words = sorted(once(rows), key=lambda row: (row.given_at, row.place))
    gone = taken_back(words)
    last: dict[tuple[str, str], FeedbackRow] = {}
    for row in words:
        if not row.corrected.empty and (row.person, row.feedback_id) not in gone:
            last.pop((row.person, row.decision_id), None)  # the order is that of the last words
            last[row.person, row.decision_id] = row
    return list(last.values())


def taken_back(rows: Iterable[FeedbackRow]) -> set[tuple[str, str]]:
    """Person and id of all that is withdrawn. Pure."""
    found: set[tuple[str, str]] = set()
    for row in sorted(rows, key=lambda row: (row.given_at, row.place), reverse=True):
        if row.withdraws and (row.by_another or (row.person, row.feedback_id) not in found):
            found.add((row.person, row.withdraws))
    return found
