"""What a candidate has to reach: every limit of the gate with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

__all__ = ["Limits"]

# Some .10 to .15 below what the shipped bundle reaches on authors nobody was fitted on: beneath these a head is of no use.
_HEADS = MappingProxyType(
    {"category": 0.80, "intent": 0.75, "action": 0.70, "priority": 0.60, "workflow_state": 0.65, "next_actions": 0.50}
)


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits of the gate; figures of quality are F1 from 0 to 1.

    A floor binds where the champion is above it and what is lost is more than chance: a slice that nobody masters yet is held by "not worse than the champion", else
    no better model could ever replace a weak one.
    """

    holdout_rows: int = 100
    """Fewest rows of the holdout: with fewer, an interval of macro-F1 is wider than ten points and says nothing."""
    fresh_rows: int = 30
    """Fewest rows of fresh feedback that are judged; fewer are counted and told."""
    slice_rows: int = 10
    """Fewest rows of a slice or class that is judged: below, one row is more than ten points."""
    head_floors: Mapping[str, float] = field(default_factory=lambda: _HEADS)
    """Macro-F1 (heads of many: micro-F1) over all rows, by head; heads that are not named have no floor of their own."""
    class_floor: float = 0.40
    """F1 of one label over all rows; the weakest label of the shipped bundle reaches .55."""
    slice_floor: float = 0.50
    """Share of right answers (heads of many: micro-F1) in one slice of the rows; the weakest one of the shipped bundle reaches .6."""
    worse_overall: float = 0.01
    """A head may be this much worse over all rows, beyond noise: one point is what int8 alone may cost."""
    worse_in_slice: float = 0.03
    """The same for a slice or a class."""
    chance: float = 0.002
    """What a slice or class loses against the champion is beyond noise where equals would lose it more seldom than this: some 300 are looked at, small
    and overlapping, and of two equally good models one always looks worse in some of them. With .005 here, .05 for floors and .03 for
    calibration nine of thirty equal candidates were refused, with these limits three (tests/bench/gate_noise.py)."""
    floor_chance: float = 0.01
    """The same for falling below a floor: of ten rows, two that are lost prove nothing on either side of it, seven do."""
    calibration: float = 0.08
    """Expected calibration error that is always allowed: on 319 rows in 15 bins a perfect model shows .03 to .05 by chance."""
    calibration_worse: float = 0.05
    """Above `calibration`, as much more than the champion's: with .03 one equal candidate in seven was refused for it alone."""
    answered_worse: float = 0.05
    """Share of rows that a head answers by itself, less than the champion's: one mail in twenty more for people to read."""
    answered_accuracy_worse: float = 0.02
    """Share of right answers among those, less than the champion's: nobody looks at them."""
    probability_change: float = 1e-4
    """Largest change of a probability with the neighbours in the batch: what a replay of past decisions may differ by."""
    parity_agreement: float = 0.97
    """Share of rows with the same label before and after quantization; the shipped bundle's lowest is .984."""
    parity_cost: float = 0.015
    """F1 that quantization may cost a head; the shipped bundle's worst is .006."""
    latency_ratio: float = 1.5
    """Milliseconds of a mail against the champion's, both asked in turn: generous, as a busy machine moves it by a fifth."""
    size_ratio: float = 1.5
    """Bytes against the champion's: a bundle that grows by half has another architecture, which a person should decide about."""
    size_bytes: int = 100_000_000
    """Most bytes: a bundle is fetched and verified by every worker within seconds."""

    def items(self) -> Iterator[tuple[str, Any]]:
        """Name and value of every limit."""
        return ((each.name, getattr(self, each.name)) for each in fields(self))
