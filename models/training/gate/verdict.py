"""`Verdict`: every check of the gate with its figures and its reason in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any, Literal

import orjson

from mailweir.models.evaluation.tally import Estimate
from mailweir.models.training.gate.limits import Limits
from mailweir.schemas.events import ModelRef

__all__ = ["VERDICT", "Check", "Rule", "Verdict"]

VERDICT = "verdict.json"
"""Its file in the folder of a report or run."""

Rule = Literal[
    "labels", "rows", "floor", "not_worse", "calibration", "answered", "answered_right", "neighbours", "parity", "latency", "size"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Check:
    """One rule on one head and slice; a field is None where the rule has no such thing."""

    rule: Rule
    passed: bool
    reason: str  # names head and slice
    rows_of: str = ""  # holdout, fresh; empty: of the bundle itself
    head: str | None = None
    slice: str | None = None
    rows: int | None = None
    candidate: float | None = None
    champion: float | None = None
    change: Estimate | None = None  # candidate less champion on the same rows
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says about a candidate."""

    candidate: ModelRef
    champion: ModelRef
    checks: tuple[Check, ...]
    limits: Limits
    schema: int = 1

    @property
    def passed(self) -> bool:
        """True if no check failed."""
        return all(check.passed for check in self.checks)

    @property
    def refusals(self) -> tuple[Check, ...]:
        """The checks that failed, in the order of the rules."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the candidate is refused, in words; empty if it passed."""
        return tuple(check.reason for check in self.refusals)

    def encode(self) -> bytes:
        """One JSON object; null where nothing could be counted."""
        return orjson.dumps(
            {
                "schema": self.schema,
                "passed": self.passed,
                "reasons": self.reasons,
                "candidate": self.candidate.model_dump(mode="json"),
                "champion": self.champion.model_dump(mode="json"),
                "checks": [dict(_told(check)) for check in self.checks],
                "limits": {name: dict(v) if isinstance(v, Mapping) else v for name, v in self.limits.items()},
            }
        )


def _told(check: Check) -> Iterator[tuple[str, Any]]:
    for name, value in asdict(check).items():
        yield name, None if isinstance(value, float) and isnan(value) else value
