"""Of what was admitted: what is learned from, and what is held back so that the gate can ask both models about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailweir.models.training.admission.admit import Admission
from mailweir.models.training.admission.claims import Claim
from mailweir.models.training.admission.given import Given
from mailweir.models.training.admission.mails import AdmittedRow, as_mail
from mailweir.models.training.corpus import FEEDBACK, MailRow
from mailweir.schemas.ids import digest
from mailweir.schemas.taxonomy import Taxonomy

__all__ = ["HELD_LEAST", "HELD_MOST", "HELD_SHARE", "Lesson", "hold_back"]

HELD_SHARE = 0.2
"""Of the mails that a person spoke about and the champion has not learned from, the newest fifth are held back: what comes next
resembles them most."""
HELD_LEAST = 30
"""Fewer are not judged by the gate, so they are learned from instead."""
HELD_MOST = 500
"""More narrow the gate's intervals little, and are missed as lessons."""

_WHOLE = float(1 << 64)

_Text = tuple[str, str]  # subject and body, as they were kept


@dataclass(frozen=True, slots=True)
class Lesson:
    """The admitted mails, parted."""

    rows: tuple[MailRow, ...]  # to fit on, all by the author `FEEDBACK`
    fresh: tuple[MailRow, ...]  # to judge by: neither model has seen them
    by_shard: Mapping[str, int]  # of `rows`, how many each shard gave


def hold_back(
    admission: Admission, given: Iterable[Given], taxonomy: Taxonomy, learned: Collection[str] = ()
) -> Lesson:
    """Part what was admitted of `given`, all rows of the shards; `learned` are ids of rows that the champion was fitted on. Pure.

    Who took a word back, or replaced it, has not taken the mail from the champion that learned from it: it stays seen, whoever
    else speaks about it.

    A mail is held back with every word about it, and with other mails of the very same text. A row that counts less than one of
    the corpus (a rule's, a habit's) is one that many such rows stand for: its id decides whether it is among those that stay.
    """
    ids = frozenset(learned)
    read = [row for row in given if f"feedback-{row.feedback_id}" in ids]
    held = _held(admission.claims, {row.email_id for row in read}, {_text(row) for row in read})
    fresh = tuple(_fresh(claims, taxonomy) for claims in held.values())
    texts = {(mail.subject, mail.body) for mail in fresh}
    kept = [row for row in admission.rows if (row.mail.subject, row.mail.body) not in texts and _counts(row)]
    by_shard: dict[str, int] = defaultdict(int)
    for row in kept:
        by_shard[row.shard] += 1
    rows = tuple(row.mail.model_copy(update={"author": FEEDBACK}) for row in kept)
    return Lesson(rows, fresh, dict(sorted(by_shard.items())))


def _held(claims: Sequence[Claim], mails: Collection[str], texts: Collection[_Text]) -> dict[str, list[Claim]]:
    """What people say of the newest mails, by mail, less those that were read; none where these would be too few."""
    said: dict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        said[claim.row.email_id].append(claim)
    seen = {mail for mail, mine in said.items() if mail in mails or any(_text(claim.row) in texts for claim in mine)}
    human = {
        mail: [claim for claim in mine if claim.row.origin == "human"]
        for mail, mine in said.items()
        if mail not in seen
    }
    spoken = {mail: mine for mail, mine in human.items() if mine}
    count = min(int(len(spoken) * HELD_SHARE), HELD_MOST)
    newest = sorted(spoken, key=lambda mail: (_last(spoken[mail]), mail))[-count:] if count >= HELD_LEAST else []
    return {mail: spoken[mail] for mail in newest}


def _text(row: Given) -> _Text:
    return row.subject, row.body


def _last(claims: Sequence[Claim]) -> datetime:
    return max(claim.row.given_at for claim in claims)


def _fresh(claims: Sequence[Claim], taxonomy: Taxonomy) -> MailRow:
    """A mail with all that people say of it: settled, so that no two claims speak of one head."""
    first = min(claims, key=lambda claim: (claim.row.given_at, claim.row.feedback_id))
    return as_mail(first.row, {claim.head: claim.value for claim in claims}, taxonomy)


def _counts(row: AdmittedRow) -> bool:
    return row.weight >= 1 or int(digest("weight", row.mail.id)[:16], 16) / _WHOLE < row.weight
