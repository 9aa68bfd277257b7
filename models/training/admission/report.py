"""`AdmissionReport`: what was taken, what was refused and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import orjson

from mailweir.models.training.admission.claims import Refusal
from mailweir.models.training.admission.harm import Harm
from mailweir.models.training.admission.limits import AdmissionLimits
from mailweir.models.training.admission.people import Conflict

__all__ = ["AdmissionReport"]


@dataclass(frozen=True, slots=True)
class AdmissionReport:
    """Counts and every single refusal; no text of a mail."""

    feedback: int  # rows of the shards
    people: int
    admitted: Mapping[str, int]  # labels by head
    origins: Mapping[str, int]  # admitted labels by origin
    refusals: tuple[Refusal, ...]
    conflicts: tuple[Conflict, ...]
    harms: tuple[Harm, ...]
    limits: AdmissionLimits
    schema: int = 1

    @property
    def causes(self) -> dict[str, int]:
        """Refusals by cause, the commonest first."""
        return dict(Counter(refusal.cause for refusal in self.refusals).most_common())

    def encode(self) -> bytes:
        """One JSON object."""
        names = ("schema", "feedback", "people", "admitted", "origins", "causes", "refusals", "conflicts", "harms")
        told = {name: getattr(self, name) for name in names}
        return orjson.dumps(told | {"limits": self.limits.json()})

    def table(self) -> str:
        """A few lines for people."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        taken = sum(self.admitted.values())
        yield f"{self.feedback:,} words of {self.people:,} people: {taken:,} labels admitted"
        for head, count in self.admitted.items():
            yield f"  {head:<24}{count:>8,}"
        yield f"refused {len(self.refusals):,}"
        for cause, count in self.causes.items():
            yield f"  {cause:<24}{count:>8,}"
        if self.conflicts:
            yield f"{len(self.conflicts):,} for a person to decide: people disagree"
        for harm in self.harms:
            if harm.harmful:
                yield f"shard {harm.shard} refused: {harm.head} {harm.before:.3f} to {harm.after:.3f} on held-out mail"
