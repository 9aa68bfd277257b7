"""What feedback says, head by head: the last word of each person, without what was taken back, without echoes of the model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from mailweir.models.training.admission.given import Corrected, Given
from mailweir.schemas.errors import UnknownLabel
from mailweir.schemas.taxonomy import Taxonomy

__all__ = ["Cause", "Claim", "Kept", "Refusal", "Value", "claims_of", "last_words"]

Cause = Literal[
    "withdrawn", "replaced", "echo", "unknown_label", "entities", "conflict", "outvoted", "repeated",
    "person_label", "person_share", "person_contradicted", "contradicted", "shard_harms",
]  # fmt: skip
Value = str | tuple[str, ...]
_PARTIAL = "a mail with some of its entities marked does not say which others there are"


@dataclass(frozen=True, slots=True)
class Claim:
    """One label that somebody gives one head of one mail."""

    shard: str
    row: Given
    head: str
    value: Value
    decided: Value | None  # what the model said; None: nothing
    confirmed_by: int = 0  # other people who say the same

    @property
    def key(self) -> tuple[str, str]:
        """Mail and head that it speaks about."""
        return self.row.email_id, self.head


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is not learned from, and why."""

    cause: Cause
    shard: str
    feedback_id: str
    person: str
    head: str | None = None  # None: the whole feedback
    detail: str = ""


class Kept(NamedTuple):
    """What goes on to the next step, and what does not."""

    claims: list[Claim]
    refusals: list[Refusal]


def last_words(shards: Mapping[str, Sequence[Given]]) -> tuple[list[tuple[str, Given]], list[Refusal]]:
    """The word that counts of each person and decision, with its shard.

    Who takes a word back has not said what it replaced either; nobody can take back another person's word. A repeat of the
    same word, in whatever shard, is one word.
    """
    rows = {row.feedback_id: (shard, row) for shard, given in shards.items() for row in given}
    spoken: dict[tuple[str, str], list[tuple[str, Given]]] = defaultdict(list)
    taken_back = {(row.person, row.withdraws) for _, row in rows.values() if row.withdraws}
    for shard, row in rows.values():
        if _says(row):
            spoken[row.person, row.decision_id].append((shard, row))
    counted: list[tuple[str, Given]] = []
    refused: list[Refusal] = []
    for (person, _), words in spoken.items():
        words.sort(key=lambda word: (word[1].given_at, word[1].feedback_id))
        back = max((i for i, (_, row) in enumerate(words) if (person, row.feedback_id) in taken_back), default=-1)
        if back < len(words) - 1:
            counted.append(words[-1])
        for number, (shard, row) in enumerate(words[: max(back + 1, len(words) - 1)]):
            refused.append(Refusal("withdrawn" if number <= back else "replaced", shard, row.feedback_id, person))
    return counted, refused


def claims_of(words: Sequence[tuple[str, Given]], taxonomy: Taxonomy) -> Kept:
    """Every label of the words; what a rule or a habit only repeats after the model is none."""
    kept = Kept([], [])
    for shard, row in words:
        said: dict[str, Value] = {head: each.label for head, each in row.decided.heads.items()}
        said["next_actions"] = _together(each.label for each in row.decided.next_actions)
        for head, value in _labels(row.corrected):
            decided = said.get(head)
            cause = _cause(row, head, value, decided, taxonomy)
            if cause:
                kept.refusals.append(Refusal(cause, shard, row.feedback_id, row.person, head))
            else:
                kept.claims.append(Claim(shard, row, head, value, decided))
        if row.corrected.entities_added or row.corrected.entities_removed:
            kept.refusals.append(Refusal("entities", shard, row.feedback_id, row.person, None, _PARTIAL))
    return kept


def _says(row: Given) -> bool:
    """False for a mere withdrawal."""
    told = row.corrected
    return bool(told.heads or told.next_actions is not None or told.entities_added or told.entities_removed)


def _labels(corrected: Corrected) -> Iterator[tuple[str, Value]]:
    for head, each in corrected.heads.items():
        yield head, each.label
    if corrected.next_actions is not None:
        yield "next_actions", _together(corrected.next_actions)


def _together(labels: Iterable[str]) -> tuple[str, ...]:
    """Labels of a head of many, so that their order says nothing."""
    return tuple(sorted(set(labels)))


def _cause(row: Given, head: str, value: Value, decided: Value | None, taxonomy: Taxonomy) -> Cause | None:
    try:
        for label in (value,) if isinstance(value, str) else value:
            taxonomy.check_label(head, label)
    except UnknownLabel:
        return "unknown_label"
    return "echo" if row.origin != "human" and value == decided else None
