"""Two bundles by what they said of the same mails: where they differ, and who was right by what people said. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mailweir.schemas.events import Decision, Feedback
from mailweir.services.cli.binomial import interval, sign_test

__all__ = ["Answer", "HeadVersus", "Versus", "answer_of", "truths", "versus"]

_ACTIONS = "next_actions"
_LISTED = 50  # pairs of labels of a head, the most frequent


@dataclass(frozen=True, slots=True)
class Answer:
    """What one bundle said of one mail."""

    taxonomy: str
    labels: Mapping[str, str]  # by head; of next_actions all, sorted, with commas


def answer_of(decision: Decision) -> Answer:
    """The labels of a decision."""
    labels = {name: head.label for name, head in decision.heads.items()}
    labels[_ACTIONS] = _joined(action.label for action in decision.next_actions)
    return Answer(f"{decision.taxonomy.name}:{decision.taxonomy.version}", labels)


def _joined(actions: Iterable[str]) -> str:
    return ", ".join(sorted(actions))


@dataclass
class HeadVersus:
    """One head over all mails that both decided."""

    mails: int = 0
    same: int = 0
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)  # (champion's label, shadow's), where they differ
    disputed: int = 0  # mails of which people say different things
    # of the mails whose right label people agree on
    both_right: int = 0
    champion_right: int = 0  # and the shadow wrong
    shadow_right: int = 0  # and the champion wrong
    both_wrong: int = 0

    def add(self, before: str, after: str, said: frozenset[str]) -> None:
        """One mail; `said` is what people call right."""
        self.mails += 1
        self.same += before == after
        if before != after:
            self.pairs[before, after] += 1
        if len(said) > 1:
            self.disputed += 1
        elif said:
            self._judge(before in said, after in said)

    def _judge(self, champion: bool, shadow: bool) -> None:  # noqa: FBT001 - two answers of one kind
        self.both_right += champion and shadow
        self.champion_right += champion and not shadow
        self.shadow_right += shadow and not champion
        self.both_wrong += not (champion or shadow)

    @property
    def judged(self) -> int:
        """Mails whose right label is known."""
        return self.both_right + self.champion_right + self.shadow_right + self.both_wrong

    def figures(self) -> dict[str, Any]:
        """All counts with their exact 95 % intervals; `p` is that of McNemar's exact test, two sides."""
        decided = self.champion_right + self.shadow_right
        return {
            "mails": self.mails,
            "same": self.same,
            "agreement": self.same / self.mails if self.mails else None,
            "agreement_interval": interval(self.same, self.mails),
            "pairs": [
                {"champion": before, "shadow": after, "mails": count}
                for (before, after), count in self.pairs.most_common(_LISTED)
            ],
            "judged": self.judged,
            "disputed": self.disputed,
            "both_right": self.both_right,
            "champion_right": self.champion_right,
            "shadow_right": self.shadow_right,
            "both_wrong": self.both_wrong,
            "shadow_share_of_wins": self.shadow_right / decided if decided else None,
            "shadow_share_of_wins_interval": interval(self.shadow_right, decided),
            "p": sign_test(self.champion_right, self.shadow_right),
        }


@dataclass
class Versus:
    """Over all mails of the sample."""

    mails: int = 0  # that both decided
    differ: int = 0  # in a label of a head or more
    alone: int = 0  # that the shadow decided and this champion did not
    heads: dict[str, HeadVersus] = field(default_factory=dict)


def versus(
    champion: Mapping[str, Answer], shadow: Mapping[str, Answer], said: Mapping[tuple[str, str], frozenset[str]]
) -> Versus:
    """Compare answers by email id; heads that only one has, and mails of two label spaces, are left out."""
    found = Versus()
    for email, after in shadow.items():
        before = champion.get(email)
        if before is None or before.taxonomy != after.taxonomy:
            found.alone += 1
            continue
        found.mails += 1
        shared = [name for name in before.labels if name in after.labels]
        found.differ += any(before.labels[name] != after.labels[name] for name in shared)
        for name in shared:
            labels = said.get((email, name), frozenset())
            found.heads.setdefault(name, HeadVersus()).add(before.labels[name], after.labels[name], labels)
    if not any(answer.labels.get(_ACTIONS) for answers in (champion, shadow) for answer in answers.values()):
        found.heads.pop(_ACTIONS, None)  # neither bundle has that head
    return found


def truths(words: Iterable[Feedback]) -> dict[tuple[str, str], frozenset[str]]:
    """(email id, head) → what people call right, by their last words; more than one where they do not agree.

    Only people count, no rules and no later behaviour. A word that its own person withdrew was never said, as in the ledger.
    """
    human = sorted((word for word in words if word.origin == "human"), key=lambda word: word.given_at)
    taken_back = _taken_back(human)
    last: dict[tuple[str, str], Feedback] = {}
    for word in human:
        if (word.heads or word.next_actions is not None) and (word.person, word.event_id) not in taken_back:
            last[word.person, word.decision_id] = word
    said: dict[tuple[str, str], set[str]] = {}
    for word in last.values():
        for name, correction in word.heads.items():
            said.setdefault((word.email_id, name), set()).add(correction.label)
        if word.next_actions is not None:
            said.setdefault((word.email_id, _ACTIONS), set()).add(_joined(word.next_actions))
    return {place: frozenset(labels) for place, labels in said.items()}


def _taken_back(words: list[Feedback]) -> set[tuple[str, str]]:
    """Person and id of what is withdrawn; a withdrawal that was withdrawn never happened."""
    found: set[tuple[str, str]] = set()
    for word in reversed(words):
        if word.withdraws and (word.person, word.event_id) not in found:
            found.add((word.person, word.withdraws))
    return found
