"""Corpus, held-out mail and claims as one table of words: what the quick model is taught and asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from mailweir.models.training.admission.claims import Claim
from mailweir.models.training.admission.limits import AdmissionLimits
from mailweir.models.training.admission.linear import Indices, Numbers, Taught, word_table
from mailweir.models.training.admission.mails import as_mail
from mailweir.models.training.corpus import MailRow
from mailweir.models.training.prepare import row_input
from mailweir.schemas.taxonomy import Taxonomy

__all__ = ["Known", "know"]


@dataclass(frozen=True, slots=True)
class Known:
    """Rows of the table: the corpus, then the holdout, then the claims."""

    corpus: Sequence[MailRow]
    holdout: Sequence[MailRow]
    claims: Sequence[Claim]
    table: csr_matrix  # (rows, words)
    weights: Numbers  # (rows,)

    @property
    def first_claim(self) -> int:
        """Row of the first claim."""
        return len(self.corpus) + len(self.holdout)

    def taught(self, head: str, labels: Sequence[str], keep: Callable[[Claim], bool]) -> Taught:
        """Rows of the corpus that know the head, and of the claims about it those to keep."""
        told = [(row, mail.label(head)) for row, mail in enumerate(self.corpus)]
        told += [(row, str(claim.value)) for row, claim in self.about(head) if keep(claim)]
        places = {label: place for place, label in enumerate(labels)}
        rows = np.array([row for row, label in told if label in places], np.int64)
        return Taught(
            rows, np.array([places[str(label)] for _, label in told if label in places], np.int64), self.weights[rows]
        )

    def about(self, head: str) -> list[tuple[int, Claim]]:
        """Row and claim of those about a head of one label."""
        return [
            (self.first_claim + n, c) for n, c in enumerate(self.claims) if c.head == head and isinstance(c.value, str)
        ]

    def held_out(self, head: str, labels: Sequence[str]) -> tuple[Indices, Indices]:
        """Row and label of the held-out mails that know the head."""
        told = [(len(self.corpus) + n, mail.label(head)) for n, mail in enumerate(self.holdout)]
        found = np.array([(row, labels.index(label)) for row, label in told if label], np.int64).reshape(-1, 2)
        return found[:, 0], found[:, 1]


def know(
    corpus: Sequence[MailRow],
    holdout: Sequence[MailRow],
    claims: Sequence[Claim],
    taxonomy: Taxonomy,
    limits: AdmissionLimits,
) -> Known:
    """The words of all mails, counted together."""
    texts = {claim.row.email_id: claim.row for claim in claims}
    of_mail = {email_id: row_input(as_mail(row, {}, taxonomy)).text for email_id, row in texts.items()}
    written = [row_input(mail).text for mail in (*corpus, *holdout)] + [of_mail[c.row.email_id] for c in claims]
    weights = [1.0] * (len(corpus) + len(holdout)) + [limits.weights[claim.row.origin] for claim in claims]
    return Known(corpus, holdout, claims, word_table(written), np.array(weights))
