"""Admitted labels as mails of the corpus: a head that nobody spoke about is masked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from mailweir.models.training.admission.claims import Claim, Value
from mailweir.models.training.admission.given import Given
from mailweir.models.training.admission.limits import AdmissionLimits
from mailweir.models.training.corpus import MailRow
from mailweir.schemas.taxonomy import Taxonomy

__all__ = ["AdmittedRow", "admitted_rows", "as_mail"]


@dataclass(frozen=True, slots=True)
class AdmittedRow:
    """A mail to learn from, and how much it counts beside one of the corpus."""

    mail: MailRow
    weight: float
    shard: str
    feedback_ids: tuple[str, ...]  # whose labels it holds


def admitted_rows(claims: Sequence[Claim], taxonomy: Taxonomy, limits: AdmissionLimits) -> list[AdmittedRow]:
    """One row for each mail, origin and person, so that every label of a row counts alike."""
    together: dict[tuple[str, str, str], list[Claim]] = defaultdict(list)
    for claim in claims:
        together[claim.row.email_id, claim.row.origin, claim.row.person].append(claim)
    return [
        AdmittedRow(
            as_mail(mine[0].row, {claim.head: claim.value for claim in mine}, taxonomy),
            limits.weights[origin],
            mine[0].shard,
            tuple(sorted({claim.row.feedback_id for claim in mine})),
        )
        for (_, origin, _), mine in sorted(together.items())
    ]


def as_mail(row: Given, labels: dict[str, Value], taxonomy: Taxonomy) -> MailRow:
    """The text that the model saw with `labels`; other heads and entities are unknown, the author is the person.

    The sender is an address of the domain, as the model is given no more of it.
    """
    domain = f"unknown@{row.sender_domain}" if row.sender_domain else ""
    return MailRow.model_validate(
        {
            "id": f"feedback-{row.feedback_id}",
            "author": f"person {row.person}",
            "language": row.language,
            "subject": row.subject,
            "from": domain,
            "to": (),
            "date": "",
            "body": row.body,
            "mailbox": row.mailbox,
            "labels": dict.fromkeys(taxonomy.heads) | labels,
            "entities": None,
        }
    )
