"""Options of fine-tuning: losses by hand, how often mails are taken, curriculum, and how a user writes them."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from functools import cache
from math import exp, log

import numpy as np
import pytest
import torch
from torch import Tensor

from mailweir.models.training.batches import batches, eased, resampled, sampling_weights
from mailweir.models.training.examples import Examples
from mailweir.models.training.heads import Question
from mailweir.models.training.losses import head_loss, label_weights
from mailweir.models.training.tiny import random_encoder
from mailweir.models.training.tune import Tuner
from mailweir.models.training.tuning import Adapters, Tuning, changed, differences
from mailweir.schemas.errors import SettingsError

pytestmark = pytest.mark.usefixtures("one_thread")

PLAIN = Tuning(smoothing=0.0)
EVEN = torch.ones(2)


def logits(*probabilities: float) -> Tensor:
    return torch.tensor([[log(p) for p in probabilities]])


def question(answers: list[list[int]], kind: str = "one") -> Question:
    known = np.array([bool(sum(row)) for row in answers])
    return Question("action", kind, tuple("abc"[: len(answers[0])]), np.array(answers), known)  # type: ignore[arg-type]


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_focal_loss_of_one(gamma: float) -> None:
    """-(1 - p) ** gamma log p, p of the right label; a row that allows two has the sum of both."""
    loss = head_loss(
        "one", logits(0.5, 0.3, 0.2), torch.tensor([[0.0, 1, 0]]), torch.ones(3), replace(PLAIN, focal=gamma)
    )
    assert float(loss) == pytest.approx(-(0.7**gamma) * log(0.3), rel=1e-5)
    either = torch.tensor([[0.0, 1, 1]])
    loss = head_loss("one", logits(0.5, 0.3, 0.2), either, torch.ones(3), replace(PLAIN, focal=gamma))
    assert float(loss) == pytest.approx(-(0.5**gamma) * log(0.5), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_focal_loss_of_many(gamma: float) -> None:
    """Each label by the probability of what is right about it: present counts twice, all three times."""
    given, answers = torch.tensor([[1.0, -2.0]]), torch.tensor([[1.0, 0.0]])
    present, absent = 1 / (1 + exp(-1.0)), 1 / (1 + exp(-2.0))
    wanted = -(2 * (1 - present) ** gamma * log(present) + (1 - absent) ** gamma * log(absent)) / 2 * 3
    assert float(head_loss("many", given, answers, EVEN, replace(PLAIN, focal=gamma))) == pytest.approx(
        wanted, rel=1e-5
    )


def test_a_sure_answer_has_a_finite_gradient() -> None:
    """Also where the power of the distance has none."""
    given = torch.tensor([[40.0, -40.0]], requires_grad=True)
    head_loss("one", given, torch.tensor([[1.0, 0]]), EVEN, replace(PLAIN, focal=0.5)).backward()
    assert given.grad is not None
    assert torch.isfinite(given.grad).all()


def test_class_weights_are_a_power_of_the_inverse_frequency() -> None:
    """By hand: 7 and 1 rows, one added to each; the average over the rows (so counted) is 1."""
    (found,) = label_weights([question([[1, 0]] * 7 + [[0, 1]])], 0.5)
    assert float(found[1] / found[0]) == pytest.approx((8 / 2) ** 0.5, rel=1e-5)
    assert float(8 * found[0] + 2 * found[1]) == pytest.approx(10, rel=1e-5)
    assert label_weights([question([[1, 0]] * 7 + [[0, 1]])], 0.0)[0].tolist() == [1, 1]


def test_a_row_that_allows_several_labels_is_a_part_of_each() -> None:
    """Six rows that say "b or c" count as three of each: as common as a."""
    (found,) = label_weights([question([[1, 0, 0]] * 3 + [[0, 1, 1]] * 6)], 1.0)
    assert found.tolist() == pytest.approx([1, 1, 1])


def test_class_weights_move_the_loss() -> None:
    """The mean over the rows, each with its label's weight."""
    both, answers = torch.cat([logits(0.5, 0.5), logits(0.9, 0.1)]), torch.eye(2)
    loss = head_loss("one", both, answers, torch.tensor([1.0, 3.0]), PLAIN)
    assert float(loss) == pytest.approx(-(1 * log(0.5) + 3 * log(0.1)) / 4, rel=1e-5)


def test_rare_labels_are_taken_more_often() -> None:
    """At power 1 both labels make half of the epochs, at ½ the ratio is the root of it, at 0 all is as it was."""
    answers = question([[1, 0]] * 90 + [[0, 1]] * 10)
    rows = np.arange(100)
    for power, share in ((1.0, 0.5), (0.5, 0.25), (0.0, 0.1)):
        weights = sampling_weights([answers], rows, power)
        assert weights.mean() == pytest.approx(1)
        taken = Counter(
            int(row) >= 90 for seed in range(50) for row in resampled(rows, weights, np.random.default_rng(seed))
        )
        assert taken[True] / 5_000 == pytest.approx(share, abs=0.01)


def test_sampling_looks_at_every_head_of_one() -> None:
    """Rare in one of two heads weighs half as much more; no answer at all is the average; many answers have no part."""
    common, both = question([[1, 0]] * 3 + [[0, 1]] * 3 + [[0, 0]]), question([[1, 0]] * 5 + [[0, 1]] + [[0, 0]])
    weights = sampling_weights([common, both, question([[1, 0]] * 6 + [[0, 1]], "many")], np.arange(7), 1.0)
    raw = np.array([(1 + 3 / 5) / 2] * 5 + [(1 + 3) / 2] + [1.0])
    assert weights == pytest.approx(raw / raw.mean())


def test_a_row_comes_as_often_as_its_weight_says() -> None:
    """Rounded up or down: 2.5 is twice or three times; an epoch stays as long as it was."""
    weights = np.array([2.5, 0.5, 1.0, 0.0])
    draws = [resampled(np.array([5, 6, 7, 8]), weights, np.random.default_rng(seed)) for seed in range(300)]
    assert {len(draw) for draw in draws} == {4}
    counts = [Counter(draw.tolist()) for draw in draws]
    assert {count[5] for count in counts} == {2, 3}
    assert {count[7] for count in counts} == {1}
    assert {count[8] for count in counts} == {0}
    assert np.mean([count[5] for count in counts]) == pytest.approx(2.5, abs=0.1)


def test_a_curriculum_begins_with_the_easy_part() -> None:
    """Two epochs of it take a third and two thirds, then all; rows that are always taken have 0."""
    late = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    rows = np.arange(6)
    assert [eased(rows, late, epoch, 2).tolist() for epoch in range(3)] == [[0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4, 5]]
    assert eased(rows, late, 0, 0).tolist() == eased(rows, None, 0, 2).tolist() == rows.tolist()


def test_batches_hold_every_row_once() -> None:
    """Of like length together."""
    sizes = np.random.default_rng(1).integers(1, 100, size=200)
    found = list(batches(np.arange(200), lambda row: int(sizes[row]), 8, np.random.default_rng(2)))
    assert sorted(row for batch in found for row in batch) == list(range(200))
    assert np.mean([np.ptp(sizes[batch]) for batch in found]) < 0.25 * np.ptp(sizes)


def examples(late: np.ndarray | None = None) -> Examples:
    draw = np.random.default_rng(4)
    mails = [draw.integers(4, 60, size=int(size)) for size in draw.integers(4, 12, size=32)]
    answers = np.eye(2, dtype=np.int64)[[int(place < 4) for place in range(32)]]
    one = Question("category", "one", ("even", "odd"), answers, np.ones(32, bool))
    return Examples(mails, [one], [None] * 32, late)


def fitted(late: np.ndarray | None = None, **options: float) -> tuple[np.ndarray, list[int]]:
    """The weights after one epoch, and the mails that it took per phase."""
    short = Tuning(Adapters(rank=2, alpha=4, frozen=1), heads_epochs=1, epochs=1, batch=8, decay=0.5)
    tuner, taken, held = (
        Tuner(random_encoder(60, 24, 2), examples(late), 0, replace(short, **options), None),
        [],
        np.arange(32) % 4 == 0,
    )  # type: ignore[arg-type]
    network = tuner.fit(~held, held, lambda _: 1.0, lambda mails, _: taken.append(mails))
    return torch.cat([p.detach().flatten() for p in network.fresh()]).numpy(), taken


@cache
def plain() -> np.ndarray:
    """The weights without any option."""
    return fitted(balance=0.0)[0]


@pytest.mark.parametrize("option", [{"focal": 2.0}, {"balance": 1.0}, {"sampling": 1.0}])
def test_an_option_has_an_effect(option: dict[str, float]) -> None:
    """The same mails and seed, other weights; the same options give the same."""
    usual, other = plain(), fitted(**{"balance": 0.0, **option})[0]
    assert np.abs(usual - other).max() > 1e-4
    np.testing.assert_array_equal(other, fitted(**{"balance": 0.0, **option})[0])


def test_a_curriculum_shortens_its_epochs() -> None:
    """Half of the mails in the first of one; the phase of the heads sees all."""
    late = np.linspace(0, 1, 32)
    assert sum(fitted(late)[1]) == 48
    assert sum(fitted(late, curriculum=1)[1]) == 24 + int((late[np.arange(32) % 4 > 0] <= 0.5).sum())


def test_options_are_written_as_name_and_value() -> None:
    """Of the tuning and of its adapters; what differs is written the same way."""
    tuning = changed(Tuning(), ["focal=2", "rank=8", " adapters_rate = 3e-3 ", "curriculum=2"])
    assert (tuning.focal, tuning.adapters.rank, tuning.adapters_rate, tuning.curriculum) == (2.0, 8, 3e-3, 2)
    again = changed(Tuning(), list(differences(tuning, Tuning())))
    assert again == tuning


def test_every_option_can_be_set() -> None:
    """A field that is added to the tuning can be set on the command line too."""
    names = [f.name for part in (Tuning, Adapters) for f in fields(part) if f.name != "adapters"]
    others = {"dropout": 0.5, "smoothing": 0.5, "decay": 0.5, "bits": 16}
    for name in names:
        assert changed(Tuning(), [f"{name}={others.get(name, 1)}"])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("fokal=2", r"--set fokal: there is no such option: rank, alpha, .*focal"),
        ("focal=high", r"--set focal=high: give a number from 0 to 10"),
        ("rank=2.5", r"--set rank=2\.5: give a whole number from 1 to 256"),
        ("bits=8", r"--set bits=8: give one of 0, 16, 32"),
        ("batch=0", r"--set batch=0: give a whole number from 1 to 1024"),
        ("decay", r"--set decay=: give a number"),
        ("augment=2", r"--set augment=2: give a number from 0 to 1, as in --set augment=1"),
        ("augment=-0.1", r"--set augment=-0\.1: give a number from 0 to 1"),
        ("focal=nan", r"--set focal=nan: give a number"),
    ],
)
def test_a_wrong_option_is_named(option: str, message: str) -> None:
    """With what is allowed."""
    with pytest.raises(SettingsError, match=message):
        changed(Tuning(), [option])
