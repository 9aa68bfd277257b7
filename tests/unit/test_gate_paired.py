"""Two bundles on the same rows: what is a loss, and what is chance."""

from __future__ import annotations

import numpy as np
import pytest

from mailweir.models.evaluation.tally import Tally
from mailweir.models.training.gate.paired import paired


@pytest.mark.parametrize(("lost", "won", "chance"), [(0, 0, 1.0), (3, 0, 0.125), (8, 0, 1 / 256), (2, 2, 11 / 16)])
def test_a_loss_is_weighed_by_an_exact_test(lost: int, won: int, chance: float) -> None:
    """Of the rows that only one of the two has right, how often would equals lose as many."""
    right = np.ones((20, 1))
    before, after = np.ones((20, 1)), np.ones((20, 1))
    after[:lost], before[lost : lost + won] = 0, 0
    found = paired(Tally("a", right * before, right, before), Tally("a", right * after, right, after))
    assert (found.micro.chance, found.labels["a"].chance) == (chance, chance)


def test_a_label_that_is_never_given_any_more_is_a_loss() -> None:
    """Also where its false alarms, as many as its hits, are gone with it: the rows that are right with it tell."""
    right = np.repeat([[1.0], [0.0]], [20, 60], axis=0)
    before, after = np.repeat([[1.0], [0.0]], [40, 40], axis=0), np.zeros((80, 1))
    found = paired(Tally("a", right * before, right, before), Tally("a", right * after, right, after)).labels["a"]
    assert (found.champion, found.candidate) == (pytest.approx(2 / 3), 0.0)
    assert found.chance < 1e-5
