"""Feedback in, rows to learn from out. Pure: no file, no clock; the same rows give the same answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailweir.models.training.admission.claims import Claim, Refusal, claims_of, last_words
from mailweir.models.training.admission.given import Given
from mailweir.models.training.admission.harm import Harm, harms, without_harmful
from mailweir.models.training.admission.known import know
from mailweir.models.training.admission.limits import AdmissionLimits
from mailweir.models.training.admission.mails import AdmittedRow, admitted_rows
from mailweir.models.training.admission.people import Conflict, cap, settle
from mailweir.models.training.admission.report import AdmissionReport
from mailweir.models.training.admission.scan import scan
from mailweir.models.training.corpus import MailRow
from mailweir.schemas.taxonomy import Taxonomy, installed_taxonomy

__all__ = ["Admission", "admit"]


@dataclass(frozen=True, slots=True)
class Admission:
    """Rows to learn from beside the corpus, and the report."""

    rows: tuple[AdmittedRow, ...]
    claims: tuple[Claim, ...]
    report: AdmissionReport


def admit(
    shards: Mapping[str, Sequence[Given]],
    corpus: Sequence[MailRow],
    holdout: Sequence[MailRow],
    limits: AdmissionLimits | None = None,
    taxonomy: Taxonomy | None = None,
) -> Admission:
    """Judge the feedback of `shards`, rows by shard id.

    `corpus` is what the model is fitted on anyway, `holdout` mail of authors that are in neither (never the test authors: what
    is learned from is chosen here). Without a holdout no shard is refused for the harm that it does.
    """
    limits, taxonomy = limits or AdmissionLimits(), taxonomy or installed_taxonomy("email", 1)
    words, refused = last_words(shards)
    said = claims_of(words, taxonomy)
    settled, conflicts = settle(said.claims)
    capped = cap(settled.claims, limits)
    scanned = scan(know(corpus, holdout, capped.claims, taxonomy, limits), taxonomy, limits)
    known = know(corpus, holdout, scanned.claims, taxonomy, limits)
    found = harms(known, taxonomy, limits)
    harmless = without_harmful(known, found)
    steps = (said, settled, capped, scanned, harmless)
    refusals = [*refused, *(refusal for step in steps for refusal in step.refusals)]
    rows = [row for given in shards.values() for row in given]
    report = _report(rows, harmless.claims, refusals, conflicts, found, limits)
    return Admission(tuple(admitted_rows(harmless.claims, taxonomy, limits)), tuple(harmless.claims), report)


def _report(
    rows: Sequence[Given],
    claims: Sequence[Claim],
    refusals: Sequence[Refusal],
    conflicts: Sequence[Conflict],
    found: Sequence[Harm],
    limits: AdmissionLimits,
) -> AdmissionReport:
    return AdmissionReport(
        feedback=len(rows),
        people=len({row.person for row in rows}),
        admitted=dict(sorted(Counter(claim.head for claim in claims).items())),
        origins=dict(sorted(Counter(claim.row.origin for claim in claims).items())),
        refusals=tuple(refusals),
        conflicts=tuple(conflicts),
        harms=tuple(found),
        limits=limits,
    )
