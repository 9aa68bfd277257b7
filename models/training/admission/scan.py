"""Labels that the other people's mail contradicts, in the sense of confident learning (Northcutt et al., 2021).

A quick model that was taught by the corpus and by everybody else answers each claim. The claim is contradicted where the
model is surer of another label than it is, on average, of mail that carries that label (or sure beyond doubt), and surer of it
than of the claim.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mailweir.models.training.admission.claims import Cause, Claim, Kept
from mailweir.models.training.admission.known import Known
from mailweir.models.training.admission.limits import AdmissionLimits
from mailweir.models.training.admission.linear import Numbers, Taught, fit_predict
from mailweir.models.training.admission.people import refusal
from mailweir.schemas.ids import digest
from mailweir.schemas.taxonomy import Taxonomy

__all__ = ["scan"]


class _Share(NamedTuple):
    """How many labels were scanned, and how many of them contradicted."""

    asked: int
    against: int

    def above(self, share: float, fewest: int) -> bool:
        return self.asked >= fewest and self.against > share * self.asked


def scan(known: Known, taxonomy: Taxonomy, limits: AdmissionLimits) -> Kept:
    """Refuse contradicted labels, and what people say who are contradicted too often, be it about one label only."""
    scanned: dict[int, str] = {}  # row of a claim: the label that contradicts it, or nothing
    for head, spec in taxonomy.heads.items():
        if spec.kind == "one" and known.about(head):
            scanned |= _contradictions(known, head, list(spec.labels), limits)
    asked: Counter[tuple[object, ...]] = Counter()
    against: Counter[tuple[object, ...]] = Counter()
    for row, other in scanned.items():
        for key in _keys(known.claims[row - known.first_claim]):
            asked[key] += 1
            against[key] += bool(other)
    kept = Kept([], [])
    for number, claim in enumerate(known.claims):
        whole, part = (_Share(asked[key], against[key]) for key in _keys(claim))
        if cause := _cause(claim, scanned.get(known.first_claim + number, ""), whole, part, limits):
            told = f"contradicted: {whole.against} of {whole.asked} labels of this person, {part.against} of {part.asked} of this label"
            kept.refusals.append(refusal(claim, cause, told))
        else:
            kept.claims.append(claim)
    return kept


def _keys(claim: Claim) -> tuple[tuple[object, ...], tuple[object, ...]]:
    """The person, and the person as one who gives this label: who is honest about the rest may still call all spam work."""
    return (claim.row.person,), (claim.row.person, claim.head, claim.value)


def _cause(claim: Claim, other: str, whole: _Share, part: _Share, limits: AdmissionLimits) -> Cause | None:
    """Whom others contradict mostly is not heard; whom they seldom contradict is believed against them."""
    if any(share.above(limits.person_contradicted, limits.person_judged) for share in (whole, part)):
        return "person_contradicted"
    doubted = whole.asked < limits.person_known or any(
        share.above(limits.person_trusted, limits.person_doubted) for share in (whole, part)
    )
    return "contradicted" if other and doubted and not claim.confirmed_by else None


def _contradictions(known: Known, head: str, labels: Sequence[str], limits: AdmissionLimits) -> dict[int, str]:
    taught = known.taught(head, labels, lambda _: True)
    probabilities = _out_of_sample(known, taught, len(labels), limits)
    corpus = taught.rows < known.first_claim
    own = probabilities[np.arange(len(taught.rows)), taught.labels]
    usual = np.array([_mean(own[corpus & (taught.labels == label)]) for label in range(len(labels))])
    sure = np.where(probabilities >= np.minimum(usual, limits.confident), probabilities, 0.0)
    best = sure.argmax(axis=1)
    against = (sure.max(axis=1) > own) & (best != taught.labels)
    return {
        int(row): labels[best[place]] if against[place] else ""
        for place, row in enumerate(taught.rows)
        if row >= known.first_claim
    }


def _out_of_sample(known: Known, taught: Taught, labels: int, limits: AdmissionLimits) -> Numbers:
    """(taught, labels): each row asked of a model that saw neither it nor anything by the same person."""
    parts = np.array([_part(known, int(row), limits.folds) for row in taught.rows])
    found = np.zeros((len(taught.rows), labels))
    for part in range(limits.folds):
        left, asked = np.flatnonzero(parts != part), np.flatnonzero(parts == part)
        if len(asked):
            rest = Taught(taught.rows[left], taught.labels[left], taught.weights[left])
            found[asked] = fit_predict(known.table, rest, taught.rows[asked], labels)
    return found


def _part(known: Known, row: int, folds: int) -> int:
    """By person; mails of the corpus are vouched for, so theirs may fall apart."""
    named = known.claims[row - known.first_claim].row.person if row >= known.first_claim else f"corpus {row}"
    return int(digest("fold", named)[:8], 16) % folds


def _mean(values: Numbers) -> float:
    """Of no values 1: a label that the corpus does not hold contradicts nobody."""
    return float(values.mean()) if len(values) else 1.0
