"""Hostile corrections behind admission: a linear stand-in of the model on a part of the corpus. tests/bench/poison.py measures the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from bench.crowd import ONE, Attack, Word, crowd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from mailweir.models.training.admission import Admission, admit
from mailweir.models.training.admission.claims import Claim, claims_of, last_words
from mailweir.models.training.admission.linear import word_table
from mailweir.models.training.corpus import TEST_AUTHORS, VALIDATION_AUTHORS, load_mails
from mailweir.models.training.prepare import row_input
from mailweir.schemas.ids import digest
from mailweir.schemas.taxonomy import installed_taxonomy

TAXONOMY = installed_taxonomy("email", 1)
HEADS = ("category", "action")  # what the targeted attack is about
LATER = ("alba", "zeynep", "liam")  # an English, a Turkish and a mixed author whom the crowd corrects
Crowd = Callable[[Attack | None, float], "Heard"]


@dataclass(frozen=True)
class Heard:
    """A crowd, what was admitted of it, and macro-F1 of the next model."""

    admission: Admission
    hostile: set[tuple[str, str]]  # feedback id and head
    f1: float
    unguarded: float  # macro-F1 of the model that learns from all of it
    believed: float  # share of its labels that were admitted

    def refused(self) -> float:
        """Share of the hostile labels."""
        taken = {(row, claim.head) for claim in self.admission.claims for row in [claim.row.feedback_id]}
        return 1 - len(taken & self.hostile) / len(self.hostile)


@pytest.fixture(scope="module")
def heard() -> Crowd:
    """The crowd with that attack, by that share of it."""
    rows = load_mails()
    later = [row for row in rows if row.author in LATER]
    asked = [row for row in rows if row.author in {*VALIDATION_AUTHORS, *TEST_AUTHORS}]
    corpus = [row for row in rows if row.author not in {*LATER, *VALIDATION_AUTHORS, *TEST_AUTHORS}][::3]
    validation = [row for row in asked if row.author in VALIDATION_AUTHORS][::2]
    table = word_table([row_input(row).text for row in (*corpus, *later, *asked)])
    places = {digest("mail", row.id): number for number, row in enumerate(later, len(corpus))}

    def f1(claims: Sequence[Claim]) -> float:
        return float(np.mean([_f1(head, claims) for head in HEADS]))

    def _f1(head: str, claims: Sequence[Claim]) -> float:
        told = [(row, mail.label(head)) for row, mail in enumerate(corpus)]
        told += [(places[claim.row.email_id], str(claim.value)) for claim in claims if claim.head == head]
        taught, right = zip(*((row, label) for row, label in told if label), strict=True)
        model = LogisticRegression(C=10, class_weight="balanced", max_iter=100, tol=1e-4)
        model.fit(table[list(taught)], right)
        wanted = [
            (row, mail.label(head)) for row, mail in enumerate(asked, len(corpus) + len(later)) if mail.label(head)
        ]
        given = model.predict(table[[row for row, _ in wanted]])
        return float(f1_score([label for _, label in wanted], given, average="macro"))

    @cache
    def hear(attack: Attack | None, share: float) -> Heard:
        words, hostile = crowd(later, [dict.fromkeys(ONE, "other")] * len(later), attack, share, seed=0)
        admission = admit({"shard": [_about(word) for word in words]}, corpus, validation)
        hostile = {(word, head) for word, head in hostile if head in HEADS}
        said = _everything([_about(word) for word in words])
        return Heard(admission, hostile, f1(admission.claims), f1(said), len(admission.claims) / len(said))

    return hear


def _everything(words: Sequence[Word]) -> list[Claim]:
    """What the words say, hostile or not."""
    return claims_of(last_words({"shard": words})[0], TAXONOMY).claims


def _about(word: Word) -> Word:
    """The same word about the two heads alone."""
    said = {head: label for head, label in word.corrected.heads.items() if head in HEADS}
    return replace(word, corrected=replace(word.corrected, heads=said))


@pytest.mark.parametrize("attack", ["random", "targeted"])
def test_one_hostile_correction_of_a_hundred_moves_nothing(heard: Crowd, attack: Attack) -> None:
    """Macro-F1 moves by less than half a point from what an honest crowd teaches."""
    found = heard(attack, 0.01)
    assert found.hostile
    assert abs(found.f1 - heard(None, 0.0).f1) < 0.005


@pytest.mark.parametrize("attack", ["random", "targeted"])
def test_one_hostile_correction_of_ten_is_refused(heard: Crowd, attack: Attack) -> None:
    """Nearly all of the hostile labels, and few of the honest."""
    found, honest = heard(attack, 0.1), heard(None, 0.0)
    assert found.refused() > 0.8
    assert found.f1 > honest.f1 - 0.02


def test_what_is_measured_moves_where_everything_is_believed(heard: Crowd) -> None:
    """The control: four random corrections of ten, learned from without admission, cost what the tests above allow nobody."""
    assert heard("random", 0.4).unguarded < heard(None, 0.0).f1 - 0.02


def test_an_honest_crowd_is_believed(heard: Crowd) -> None:
    """The other control: admission that refused everything would refuse the hostile labels too."""
    assert heard(None, 0.0).believed > 0.75
