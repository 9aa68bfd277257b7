"""Accuracy without labels against the truth, and what verdicts tell of it: simulated mail whose right answers are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pytest
from loop import row

from mailweir.models.evaluation.expected import Accuracy, Expected, Verdict, wilson
from mailweir.schemas.events import Alternative, Correction
from mailweir.services.cli.accuracy import verdicts_of

DECISIONS = 20_000


@dataclass(frozen=True)
class World:
    """Decisions with their probability, whether they are right, and whether they came at a busy time."""

    probability: np.ndarray
    right: np.ndarray
    busy: np.ndarray

    @property
    def accuracy(self) -> float:
        """Of all of them; nobody in the world knows it."""
        return float(self.right.mean())


def world(truth: Callable[[np.ndarray], np.ndarray], seed: int = 1) -> World:
    """Busy times bring the harder mail."""
    random = np.random.default_rng(seed)
    busy = random.random(DECISIONS) < 0.5
    probability = np.where(busy, random.beta(4, 2, DECISIONS), random.beta(12, 1, DECISIONS))
    return World(probability, random.random(DECISIONS) < truth(probability), busy)


def measured(made: World, *, lots: bool = True, given: bool = True, weighed: bool = True, seed: int = 2) -> Accuracy:
    """What the table says: the lot falls on one in ten when it is calm and on one in fifty when it is busy."""
    random = np.random.default_rng(seed)
    expected = Expected()
    for number, probability in enumerate(made.probability):
        expected.decided(str(number), "1", {"category": float(probability)})
    chance = np.where(made.busy, 0.02, 0.1)
    drawn = (random.random(DECISIONS) < chance) & lots
    stumbled = (random.random(DECISIONS) < np.where(made.right, 0.002, 0.3)) & given  # people correct what is wrong
    verdicts = [Verdict(str(n), "category", bool(made.right[n])) for n in np.flatnonzero(drawn | stumbled)]
    expected.judged(verdicts, {str(n): float(chance[n]) if weighed else 1.0 for n in np.flatnonzero(drawn)})
    [told] = expected.table()
    return told


def test_of_calibrated_probabilities_the_estimate_is_the_accuracy() -> None:
    """Within a percentage point, without a single label."""
    made = world(lambda p: p)
    told = measured(made, lots=False, given=False)
    assert told.estimated == pytest.approx(made.accuracy, abs=0.01)
    assert (told.decisions, told.verdicts, told.realised, told.error, told.within) == (DECISIONS, 0, None, None, None)


def test_of_a_bundle_that_is_too_sure_the_lot_shows_by_how_much() -> None:
    """The estimate cannot know; its error is told with its sign, and that it is beyond chance."""
    made = world(lambda p: p**2)
    told = measured(made)
    wrong_by = told.estimated - made.accuracy
    assert wrong_by > 0.1
    assert told.error == pytest.approx(wrong_by, abs=0.04)
    assert told.within is False
    shy = measured(world(np.sqrt))
    assert shy.error is not None
    assert (shy.error < -0.03, shy.within) == (True, False)


def test_of_calibrated_probabilities_the_lot_agrees() -> None:
    """Twelve worlds: the interval misses the truth, and the estimate, about as seldom as it says (5 %)."""
    worlds = [(made := world(lambda p: p, seed), measured(made, seed=seed + 100)) for seed in range(12)]
    held = [told.low <= made.accuracy <= told.high for made, told in worlds if told.low and told.high]
    assert sum(held) >= 10
    assert sum(bool(told.within) for _, told in worlds) >= 10


def test_the_lot_is_weighed_by_its_chance() -> None:
    """Unweighed, the calm times with their easy mail would count five times as much as the busy ones."""
    made = world(lambda p: p)
    fair, unfair = measured(made), measured(made, weighed=False)
    assert fair.realised is not None
    assert unfair.realised is not None
    assert abs(fair.realised - made.accuracy) < 0.03 < unfair.realised - made.accuracy


def test_what_people_say_of_themselves_moves_only_the_upper_limit() -> None:
    """Their words are mostly corrections; taken for a sample they would call a good bundle a bad one."""
    made = world(lambda p: p)
    lots, given = measured(made, given=False), measured(made, lots=False)
    assert (given.realised, given.verdicts) == (None, 0)
    assert given.said > 1_000
    assert made.accuracy < given.at_most < 1
    both = measured(made)
    assert both.realised == pytest.approx(lots.realised, abs=0.01)
    assert both.at_most < given.at_most


def test_each_decision_counts_once_and_each_bundle_for_itself() -> None:
    """Published twice it is one; a verdict about another window, another head or an unknown decision is none."""
    expected = Expected()
    for decision, version, probability in (("a", "1", 0.8), ("a", "1", 0.8), ("b", "2", 0.6), ("c", "1", 0.4)):
        expected.decided(decision, version, {"category": probability})
    said = [Verdict("a", "category", right=True), Verdict("b", "category", right=False)]
    expected.judged([*said, Verdict("x", "category", right=False), Verdict("a", "intent", right=False)], {"a": 0.5})
    one, two = expected.table()
    assert (one.version, one.decisions, one.estimated, one.verdicts, one.realised) == ("1", 2, 0.6, 1, 1.0)
    assert (two.version, two.decisions, two.estimated, two.verdicts, two.said, two.at_most) == ("2", 1, 0.6, 0, 1, 0.0)
    assert Expected().table() == []


@pytest.mark.parametrize(
    ("share", "count", "low", "high"), [(1.0, 10, 0.7225, 1.0), (0.5, 100, 0.4038, 0.5962), (0.0, 3, 0.0, 0.5615)]
)
def test_wilsons_interval(share: float, count: float, low: float, high: float) -> None:
    """As published, at the edges and in the middle."""
    assert wilson(share, count) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_verdicts_are_the_last_words_of_people() -> None:
    """The latest person's word for each head; no rule's, none that was withdrawn, and none on a head without a decision."""
    decided = {"heads": {name: Alternative(label="work", probability=0.9) for name in ("category", "intent")}}

    def said(offset: int, person: str, head: str, label: str, **changes: object) -> object:
        corrected = {"heads": {head: Correction(label=label)}}
        return row(offset, person, minute=offset, decided=decided, corrected=corrected, **changes)

    first = said(0, "u-1", "category", "finance")
    rows = [
        first,
        said(1, "u-2", "category", "work"),
        said(2, "u-3", "intent", "none", origin="rule"),
        said(3, "u-4", "priority", "low"),
        gone := said(4, "u-5", "intent", "none"),
        row(5, "u-5", minute=5, corrected={}, withdraws=gone.feedback_id),  # type: ignore[attr-defined]
    ]
    assert list(verdicts_of(rows)) == [Verdict(first.decision_id, "category", right=True)]  # type: ignore[arg-type,attr-defined]
    assert list(islice(verdicts_of([]), 1)) == []
