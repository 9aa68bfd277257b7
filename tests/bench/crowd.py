"""A crowd that corrects decisions: most of them honest, some hostile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np

from mailweir.models.training.corpus import MailRow
from mailweir.schemas.ids import digest
from mailweir.schemas.taxonomy import installed_taxonomy

PEOPLE, SLIP, TWICE = 100, 0.02, 0.2  # honest people err in one label of fifty; one mail of five is seen by two
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
TAXONOMY = installed_taxonomy("email", 1)
ONE = {head: tuple(spec.labels) for head, spec in TAXONOMY.heads.items() if spec.kind == "one"}
Attack = Literal["random", "targeted"]


@dataclass(frozen=True, slots=True)
class Label:
    """Of a head."""

    label: str


@dataclass(frozen=True, slots=True)
class Decided:
    """What the model said."""

    heads: Mapping[str, Label]
    next_actions: tuple[Label, ...] = ()


@dataclass(frozen=True, slots=True)
class Corrected:
    """What a person said."""

    heads: Mapping[str, Label]
    next_actions: tuple[str, ...] | None = None
    entities_added: tuple[object, ...] = ()
    entities_removed: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Word:
    """A row of a shard."""

    feedback_id: str
    decision_id: str
    email_id: str
    person: str
    given_at: datetime
    subject: str
    sender_domain: str
    mailbox: str
    body: str
    language: str
    decided: Decided
    corrected: Corrected
    origin: str = "human"
    withdraws: str | None = None


def word(mail: MailRow, person: str, labels: Mapping[str, str], decided: Mapping[str, str], place: int) -> Word:
    """What a person says about the decision on a mail."""
    given = START + timedelta(seconds=place)
    return Word(
        digest("word", mail.id, person), digest("decision", mail.id), digest("mail", mail.id), person, given, mail.subject,
        mail.sender.rpartition("@")[2].rstrip(">"), mail.mailbox, mail.body, mail.language,
        Decided({head: Label(label) for head, label in decided.items()}),
        Corrected({head: Label(label) for head, label in labels.items()}),
    )  # fmt: skip


def crowd(
    mails: Sequence[MailRow], decisions: Sequence[Mapping[str, str]], attack: Attack | None, share: float, seed: int
) -> tuple[list[Word], set[tuple[str, str]]]:
    """The words, and which of their labels are hostile: feedback id and head.

    `share` of all words are hostile, by as large a share of the people. Random: every head has another label than the right
    one. Targeted: spam is called work, and wants an answer now; about the rest of their mail these people are honest.
    """
    rng = np.random.default_rng(seed)
    said: dict[tuple[int, int], bool] = {}  # mail, person: hostile
    for number in range(len(mails)):
        for person in rng.choice(PEOPLE, 2 if rng.random() < TWICE else 1, replace=False):
            said[number, int(person)] = attack == "random" and person < share * PEOPLE
    if attack == "targeted":
        spam = [number for number, mail in enumerate(mails) if mail.label("category") == "spam"]
        wanted, hostile = round(share * len(said)), max(1, round(share * PEOPLE))
        pairs = [(number, person) for number in spam for person in range(hostile)]
        said |= {pairs[i]: True for i in rng.permutation(len(pairs))[:wanted]}
    words, bad = [], set()
    for place, ((number, person), hostile_word) in enumerate(sorted(said.items())):
        right = {head: label for head in ONE if (label := mails[number].label(head))}
        own = np.random.default_rng([seed, number, person])  # the honest say the same whoever is hostile
        labels = _attacked(right, attack, own) if hostile_word else _honest(right, own)
        words.append(word(mails[number], f"p{person}", labels, decisions[number], place))
        bad |= {(words[-1].feedback_id, head) for head in labels if hostile_word and labels[head] != right.get(head)}
    return words, bad


def _honest(right: Mapping[str, str], rng: np.random.Generator) -> dict[str, str]:
    return {head: _other(head, label, rng) if rng.random() < SLIP else label for head, label in right.items()}


def _attacked(right: Mapping[str, str], attack: Attack | None, rng: np.random.Generator) -> dict[str, str]:
    if attack == "targeted":
        return {"category": "work", "action": "reply_now"}
    return {head: _other(head, label, rng) for head, label in right.items()}


def _other(head: str, label: str, rng: np.random.Generator) -> str:
    return str(rng.choice([each for each in ONE[head] if each != label]))
