"""The verdict on a candidate. Pure: what was answered and measured goes in, checks come out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mailweir.models.training.gate.limits import Limits
from mailweir.models.training.gate.quality import quality
from mailweir.models.training.gate.serving import serving
from mailweir.models.training.gate.sitting import Sitting
from mailweir.models.training.gate.sureness import sureness
from mailweir.models.training.gate.verdict import Check, Verdict

__all__ = ["FRESH", "HOLDOUT", "judge"]

HOLDOUT, FRESH = "holdout", "fresh"


def judge(
    candidate: Sitting, champion: Sitting, limits: Limits | None = None, left_out: Mapping[str, int] | None = None
) -> Verdict:
    """Compare two bundles that were asked the same rows; the candidate is refused by any check that fails.

    `left_out`: by set, how many rows were not asked because one of the two learned from them.
    """
    limits = limits or Limits()
    checks = tuple(_checks(candidate, champion, limits, left_out or {}))
    return Verdict(candidate.manifest.model, champion.manifest.model, checks, limits)


def _checks(candidate: Sitting, champion: Sitting, limits: Limits, left_out: Mapping[str, int]) -> Iterator[Check]:
    labels = _labels(candidate, champion)
    yield labels
    for rows_of in (HOLDOUT, FRESH):
        yield _rows(rows_of, candidate, limits, left_out.get(rows_of, 0))
        if labels.passed and _judged(rows_of, candidate, limits):
            yield from quality(rows_of, candidate, champion, limits)
            yield from sureness(rows_of, candidate, champion, limits)
    yield from serving(candidate, champion, limits)


def _labels(candidate: Sitting, champion: Sitting) -> Check:
    """Bundles with other heads or labels cannot be compared row by row."""
    ours, theirs = candidate.manifest, champion.manifest
    differing = [
        head
        for head in sorted(ours.heads.keys() | theirs.heads.keys())
        if head not in ours.heads
        or head not in theirs.heads
        or set(ours.heads[head].labels) != set(theirs.heads[head].labels)
    ]
    if ours.taxonomy != theirs.taxonomy or differing:
        named = f"heads with other labels: {', '.join(differing)}" if differing else "the heads are the same"
        reason = (
            f"labels: the candidate answers taxonomy {ours.taxonomy.name} {ours.taxonomy.version}, the champion "
            f"{theirs.taxonomy.name} {theirs.taxonomy.version}; {named}: they cannot be compared, a person has to decide"
        )
        return Check("labels", passed=False, reason=reason)
    return Check("labels", passed=True, reason="labels: both bundles answer the same heads and labels")


def _rows(rows_of: str, sitting: Sitting, limits: Limits, left_out: int) -> Check:
    count = len(sitting.answers.get(rows_of, ()))
    told = f"; {left_out} more were left out, as a bundle learned from them" if left_out else ""
    if rows_of == HOLDOUT:
        enough = count >= limits.holdout_rows
        reason = f"rows: the holdout has {count}, at least {limits.holdout_rows} are needed to judge at all{told}"
        return Check("rows", enough, reason, rows_of, rows=count, limit=limits.holdout_rows)
    judged = "judged" if count >= limits.fresh_rows else "too few to be judged"
    reason = f"rows: {count} of fresh audited feedback, {judged} (from {limits.fresh_rows}){told}"
    return Check("rows", passed=True, reason=reason, rows_of=rows_of, rows=count, limit=limits.fresh_rows)


def _judged(rows_of: str, sitting: Sitting, limits: Limits) -> bool:
    count = len(sitting.answers.get(rows_of, ()))
    return count > 0 if rows_of == HOLDOUT else count >= limits.fresh_rows
