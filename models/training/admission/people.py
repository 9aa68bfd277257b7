"""Between people: who disagrees, who says the same, and how much one person may say."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mailweir.models.training.admission.claims import Cause, Claim, Kept, Refusal
from mailweir.models.training.admission.limits import AdmissionLimits
from mailweir.schemas.ids import digest

__all__ = ["Conflict", "cap", "refusal", "settle"]


@dataclass(frozen=True, slots=True)
class Conflict:
    """One head of one mail that people disagree about; for a person to decide."""

    email_id: str
    head: str
    said: tuple[tuple[str, str], ...]  # person, label


def settle(claims: Sequence[Claim]) -> tuple[Kept, list[Conflict]]:
    """One claim for each mail and head: people go before rules and habits, agreement counts once, disagreement not at all."""
    kept, conflicts = Kept([], []), []
    by_key: dict[tuple[str, str], list[Claim]] = defaultdict(list)
    for claim in claims:
        by_key[claim.key].append(claim)
    for (email_id, head), mine in by_key.items():
        people = [claim for claim in mine if claim.row.origin == "human"]
        speaking = people or mine
        kept.refusals.extend(refusal(claim, "outvoted", "a person spoke") for claim in mine if claim not in speaking)
        if len({claim.value for claim in speaking}) > 1:
            kept.refusals.extend(refusal(claim, "conflict") for claim in speaking)
            conflicts.append(Conflict(email_id, head, tuple(sorted((c.row.person, _told(c)) for c in speaking))))
        else:
            first, *same = sorted(speaking, key=lambda claim: (claim.row.given_at, claim.row.feedback_id))
            others = {claim.row.person for claim in same} - {first.row.person}
            kept.claims.append(replace(first, confirmed_by=len(others)))
            kept.refusals.extend(refusal(claim, "repeated", "said before") for claim in same)
    return kept, conflicts


def cap(claims: Sequence[Claim], limits: AdmissionLimits) -> Kept:
    """No person says more than their share of a shard, nor gives one label to more mails than the limit.

    Which of a person's claims stay follows from their ids alone: nobody can choose them by being first or last.
    """
    kept = Kept([], [])
    totals = Counter(claim.shard for claim in claims)
    spoken: Counter[tuple[str, str]] = Counter()
    given: Counter[tuple[str, str, str, str]] = Counter()
    for claim in sorted(claims, key=lambda claim: digest("cap", claim.row.feedback_id, claim.head)):
        person, label = (claim.shard, claim.row.person), (claim.shard, claim.row.person, claim.head, _told(claim))
        most = max(limits.person_least, int(limits.person_share * totals[claim.shard]))
        if given[label] >= limits.person_label:
            kept.refusals.append(refusal(claim, "person_label", f"more than {limits.person_label} of one label"))
        elif spoken[person] >= most:
            kept.refusals.append(refusal(claim, "person_share", f"more than {most} labels in the shard"))
        else:
            kept.claims.append(claim)
            spoken[person] += 1
            given[label] += 1
    return kept


def refusal(claim: Claim, cause: Cause, detail: str = "") -> Refusal:
    """Of one claim."""
    return Refusal(cause, claim.shard, claim.row.feedback_id, claim.row.person, claim.head, detail)


def _told(claim: Claim) -> str:
    return claim.value if isinstance(claim.value, str) else ", ".join(claim.value)
