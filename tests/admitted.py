"""Words about made-up mails, for tests of admission."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from mailweir.models.training.admission.claims import Kept, claims_of, last_words
from mailweir.models.training.corpus import MailRow
from mailweir.schemas.ids import digest
from mailweir.schemas.taxonomy import installed_taxonomy

TAXONOMY = installed_taxonomy("email", 1)


NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


WORDS = {
    "work": "order delivery invoice supplier quotation meeting contract",
    "spam": "winner lottery prize transfer inheritance million claim",
    "travel": "flight boarding hotel gate departure luggage booking",
}


@dataclass(frozen=True, slots=True)
class Label:
    """Of a head."""

    label: str


@dataclass(frozen=True, slots=True)
class Said:
    """Decision or correction."""

    heads: Mapping[str, Label]
    next_actions: Sequence[object] | None = None
    entities_added: Sequence[object] = ()
    entities_removed: Sequence[object] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a shard, with the names of the ledger's."""

    feedback_id: str
    decision_id: str
    email_id: str
    person: str
    origin: str
    given_at: datetime
    withdraws: str | None
    subject: str
    sender_domain: str
    mailbox: str
    body: str
    language: str
    decided: Said
    corrected: Said


def row(
    mail: str = "m1",
    person: str = "ann",
    *,
    origin: str = "human",
    decided: str = "work",
    body: str = "please look",
    minute: int = 0,
    withdraws: str | None = None,
    actions: tuple[str, ...] | None = None,
    **heads: str,
) -> Row:
    """What a person says about the decision on a mail, minutes after noon."""
    said = Said({head: Label(label) for head, label in heads.items()}, actions)
    return Row(
        digest(mail, person, str(minute)), f"decision of {mail}", mail, person, origin, NOON + timedelta(minutes=minute),
        withdraws, "a subject", "example.org", "sales", body, "en", Said({"category": Label(decided)}, ()), said,
    )  # fmt: skip


def claims(*rows: Row) -> Kept:
    """The labels of the last words."""
    return claims_of(last_words({"s": rows})[0], TAXONOMY)


def causes(kept: Kept) -> list[str]:
    """Why claims were refused."""
    return [refusal.cause for refusal in kept.refusals]


def text(label: str, seed: int) -> str:
    """Words of a kind of mail."""
    return " ".join(np.random.default_rng(seed).choice(WORDS[label].split(), 12))


def corpus(each: int = 30, author: str = "ada") -> list[MailRow]:
    """Mails that only know their category."""
    blank = {
        "language": "en",
        "subject": "a subject",
        "from": "",
        "to": (),
        "date": "",
        "mailbox": "",
        "entities": None,
    }
    return [
        MailRow.model_validate(
            blank | {"id": f"{author}-{label}-{n}", "author": author, "body": text(label, n + len(author) * 1000), "labels": {"category": label}}
        )
        for label in WORDS
        for n in range(each)
    ]  # fmt: skip


def crowd(people: Sequence[str], each: int, wrong: Mapping[str, Mapping[str, str]]) -> list[Row]:
    """Everybody labels as many mails of their own, right unless `wrong` names what a person calls a label."""
    rows = []
    for person in people:
        for number in range(each):
            label = list(WORDS)[number % 3]
            said = wrong.get(person, {}).get(label, label)
            body = text(label, int(digest(person, str(number))[:6], 16))
            rows.append(row(f"{person} {number}", person, decided="other", body=body, minute=number, category=said))
    return rows
