"""How far feedback is believed: every limit of admission with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

__all__ = ["AdmissionLimits"]

_WEIGHTS = MappingProxyType({"human": 1.0, "rule": 0.3, "implicit": 0.2})


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """All limits of admission."""

    weights: Mapping[str, float] = field(default_factory=lambda: _WEIGHTS)
    """By origin, how much a row counts beside one of the corpus: a rule repeats one person's opinion of many mails, and what
    somebody did with a mail (implicit) is no opinion of it at all."""
    person_share: float = 0.2
    """Most labels of a shard by one person, as a share: five people at least have to agree on where the model goes."""
    person_least: int = 50
    """What a person may say whatever the share: a small team must be able to teach its own model."""
    person_label: int = 40
    """Most mails that one person may give the same label of a head in a shard: some one-person flips of a whole class end here."""
    folds: int = 4
    """Parts of the cross-validation; a person's labels are all in one, so that nobody vouches for themselves."""
    confident: float = 0.8
    """Probability that is confident whatever is usual: where labels are told apart with ease the usual one is .999, and half of
    what is plainly wrong would lie below it."""
    person_judged: int = 6
    """Fewest scanned labels of a person, or of one label by that person, whose share of contradicted ones refuses all of them:
    with fewer, chance makes a half."""
    person_contradicted: float = 0.5
    """That share: the others' mail says with confidence that most of it is wrong."""
    person_known: int = 12
    """Labels from which a person is known, and may be right against the others' mail: a correction is often what they do not know."""
    person_trusted: float = 0.25
    """Share of contradicted labels, over all of a person's or over one label of theirs, up to which that holds; honest people of
    the simulated crowd are at .1."""
    person_doubted: int = 3
    """Fewest labels over which a share casts doubt."""
    harm: float = 0.005
    """Macro-F1 that a shard may cost a head on held-out authors, where the loss is beyond noise."""

    def json(self) -> dict[str, Any]:
        """Name and value of every limit."""
        return {
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in ((name, getattr(self, name)) for name in self.__dataclass_fields__)
        }
