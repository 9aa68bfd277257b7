"""Reject on negative impact (Nelson et al., 2008): a shard that makes a quick model worse on held-out mail is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mailweir.models.evaluation.tally import Estimate, Tally
from mailweir.models.training.admission.claims import Claim, Kept
from mailweir.models.training.admission.known import Known
from mailweir.models.training.admission.limits import AdmissionLimits
from mailweir.models.training.admission.linear import Indices, fit_predict
from mailweir.models.training.admission.people import refusal
from mailweir.models.training.gate.paired import paired
from mailweir.schemas.taxonomy import Taxonomy

__all__ = ["Harm", "harms", "without_harmful"]


@dataclass(frozen=True, slots=True)
class Harm:
    """What a shard does to one head of the quick model: macro-F1 on the held-out mails."""

    shard: str
    head: str
    claims: int
    before: float
    after: float
    change: Estimate
    harmful: bool


def without_harmful(known: Known, found: Sequence[Harm]) -> Kept:
    """The claims of the shards that harm no head."""
    named = {harm.shard: harm for harm in found if harm.harmful}
    kept = Kept([], [])
    for claim in known.claims:
        if harm := named.get(claim.shard):
            told = f"{harm.head} {harm.before:.3f} to {harm.after:.3f} on held-out mail"
            kept.refusals.append(refusal(claim, "shard_harms", told))
        else:
            kept.claims.append(claim)
    return kept


def harms(known: Known, taxonomy: Taxonomy, limits: AdmissionLimits) -> list[Harm]:
    """Every shard added to the corpus alone, head by head."""
    return [
        harm
        for shard in sorted({claim.shard for claim in known.claims})
        for head, spec in taxonomy.heads.items()
        if spec.kind == "one"
        for harm in _harm(known, shard, head, list(spec.labels), limits)
    ]


def _harm(known: Known, shard: str, head: str, labels: Sequence[str], limits: AdmissionLimits) -> Iterator[Harm]:
    claims = sum(claim.shard == shard for _, claim in known.about(head))
    rows, right = known.held_out(head, labels)
    if not claims or not len(rows):
        return
    before = _answered(known, head, labels, rows, right, lambda _: False)
    after = _answered(known, head, labels, rows, right, lambda claim: claim.shard == shard)
    both = paired(before, after).macro
    harmful = both.change.high < 0 and both.change.value < -limits.harm
    yield Harm(shard, head, claims, round(both.champion, 4), round(both.candidate, 4), both.change, harmful)


def _answered(
    known: Known, head: str, labels: Sequence[str], rows: Indices, right: Indices, keep: Callable[[Claim], bool]
) -> Tally:
    taught = known.taught(head, labels, keep)
    given = np.eye(len(labels))[fit_predict(known.table, taught, rows, len(labels)).argmax(axis=1)]
    wanted = np.eye(len(labels))[right]
    return Tally(tuple(labels), wanted * given, wanted, given)
