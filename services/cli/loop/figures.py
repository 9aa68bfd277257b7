"""What a walk came to."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["CLASS", "LoopFigures"]

CLASS = "finance"
"""The category that the first champion hardly knows."""


@dataclass
class LoopFigures:
    """Counts of one walk; filled as it goes."""

    first: str = ""  # version of the champion that hardly knows the class
    second: str = ""  # … and of the one that has learned it
    words: int = 0  # of people, about as many decisions
    wrong: int = 0  # of these, where the decision was not right
    shards: int = 0
    run_id: str = ""
    outcome: str = ""  # of the run
    reasons: tuple[str, ...] = ()
    seen: int = 0  # mails of the class that nobody said anything about
    before: int = 0  # of these, right by the first champion
    after: int = 0  # … and by the second
    others: int = 0  # mails of other classes that nobody said anything about
    others_before: int = 0
    others_after: int = 0
    workers_swapped: int = 0
    redecided: int = 0  # by the rollback
    superseding: int = 0  # latest decisions that name the one that they supersede
    seconds: dict[str, float] = field(default_factory=dict)  # per step
