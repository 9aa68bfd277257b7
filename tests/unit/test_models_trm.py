"""The tiny recursive model: its recursion, its step as a graph, the loop that serves it, and when it halts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mailweir.models.export.step import write_step
from mailweir.models.export.weights import Affine
from mailweir.models.runtime.refine import Refiner
from mailweir.models.training.contest import Contest, answers, differences, interval
from mailweir.models.training.halting import chance, exits, first_above, fit_halt, nothing_to_gain, rights, rules, walk
from mailweir.models.training.heads import Question
from mailweir.models.training.network import pad_rows
from mailweir.models.training.states import Halves
from mailweir.models.training.trm import PlainHeads, Trm, TrmShape
from mailweir.models.training.trm_export import halting_head, settle, step_weights
from mailweir.models.training.trm_fit import Lesson, TrmTuning, fit_steps, head_scores, step_logits

pytestmark = pytest.mark.usefixtures("one_thread")

HIDDEN, SIZES, HEADS = 12, (3, 4), ("category", "next_actions")
SHAPE = TrmShape(width=16, attention_heads=2, scratch=2, latent=2, steps=4)


@pytest.fixture
def network() -> Trm:
    torch.manual_seed(3)
    made = Trm(HIDDEN, SIZES, SHAPE).eval()
    made.centre.normal_(0, 0.3)
    made.spread.uniform_(0.5, 2.0)
    made.halt_weight.normal_(0, 1.0)
    return made


def mails(count: int = 9) -> list[Halves]:
    draw = np.random.default_rng(6)
    return [draw.normal(size=(int(size), HIDDEN)).astype(np.float16) for size in draw.integers(2, 15, size=count)]


def padded(count: int = 9) -> tuple[Tensor, Tensor]:
    states, mask = pad_rows(mails(count), 0)
    return states.float(), mask


def lesson(rows: int = 80) -> Lesson:
    """Mails whose label is the largest of three channels, anywhere in the mail; a quarter is held out."""
    draw = np.random.default_rng(8)
    right = draw.integers(0, 3, size=rows)
    states = [draw.normal(0, 0.3, (int(size), HIDDEN)) for size in draw.integers(3, 12, size=rows)]
    for row, label in enumerate(right):
        states[row][int(draw.integers(len(states[row]))), label] += 3
    one = Question("category", "one", ("a", "b", "c"), np.eye(3, dtype=np.int64)[right], np.ones(rows, bool))
    many = Question("next_actions", "many", tuple("wxyz"), np.eye(4, dtype=np.int64)[right], np.arange(rows) % 5 > 0)
    held = np.arange(rows) % 4 == 0
    return Lesson([one_mail.astype(np.float16) for one_mail in states], [one, many], ~held, held)


def exported(network: Trm, path: Path, *, steps: int, halt_at: float) -> Refiner:
    settle(network)
    write_step(path, step_weights(network, HEADS))
    return Refiner(path, HEADS, steps=steps, halt_at=halt_at)


def test_the_second_step_changes_both_states(network: Trm) -> None:
    """Neither y nor z stands still after the first step, and neither does the answer."""
    states, mask = padded()
    memory, (y, z) = network.memory(states, mask), network.begin(len(states))
    with torch.no_grad():
        y1, z1 = network.step(y, z, memory)
        y2, z2 = network.step(y1, z1, memory)
    for before, after in ((y1, y2), (z1, z2), (network.logits(y1), network.logits(y2))):
        assert (before - after).abs().amax(dim=tuple(range(1, before.dim()))).min() > 1e-3


def test_gradients_reach_the_net_through_every_call(network: Trm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three calls in each of four steps, and what every one of them gives takes part in the loss."""
    given: list[Tensor] = []
    net = Trm.net

    def kept(self: Trm, slots: Tensor, memory: object) -> Tensor:
        given.append(net(self, slots, memory))  # type: ignore[arg-type]
        given[-1].retain_grad()
        return given[-1]

    monkeypatch.setattr(Trm, "net", kept)
    sum(step.square().sum() for step in network(*padded())).backward()
    assert len(given) == SHAPE.steps * (SHAPE.latent + 1)
    for call in given:
        assert call.grad is not None
        assert call.grad.abs().max() > 0
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())


def test_a_step_answers_for_itself(network: Trm) -> None:
    """Between steps the gradient is cut: the loss of the second one leaves the beginning of y alone."""
    steps = network(*padded())
    steps[1].square().sum().backward()
    assert network.first_y.grad is None
    assert network.layers[0].query.weight.grad is not None


def test_padding_and_neighbours_change_nothing(network: Trm) -> None:
    """After every step a mail has the logits that it has alone, whatever stands in the padding."""
    states, mask = padded()
    with torch.no_grad():
        together = network(states, mask)
        noisy = network(states.masked_fill(~mask[..., None], 50.0), mask)
        for row, mail in enumerate(mails()):
            alone = network(
                *(part[:1] for part in (torch.from_numpy(mail).float()[None], mask[row : row + 1, mask[row]]))
            )
            for step in range(SHAPE.steps):
                np.testing.assert_allclose(together[step][row], alone[step][0], atol=1e-5)
                np.testing.assert_allclose(together[step][row], noisy[step][row], atol=1e-5)


def test_nothing_depends_on_which_row_it_is(network: Trm) -> None:
    """The same mail twice in a batch gets the same answer, and a mixed-up batch mixed-up answers: no state belongs to a mail."""
    states, mask = padded()
    order = torch.tensor([4, 1, 1, 0])
    with torch.no_grad():
        plain, mixed = network(states, mask), network(states[order], mask[order])
    for before, after in zip(plain, mixed, strict=True):
        np.testing.assert_allclose(before[order], after, atol=1e-5)


def test_the_graph_answers_like_the_net(network: Trm, tmp_path: Path) -> None:
    """All steps of the exported loop against torch: logits and halting probability within 1e-4."""
    refiner = exported(network, tmp_path / "step.onnx", steps=SHAPE.steps, halt_at=1.1)
    states, mask = padded()
    refined = refiner.refine(states.numpy(), mask.numpy().astype(np.int64))
    with torch.no_grad():
        y = network.walk(states, mask)[-1]
        logits = network.logits(y)
    np.testing.assert_allclose(np.concatenate(refined.logits, axis=1), logits, atol=1e-4)
    assert refined.steps.tolist() == [SHAPE.steps] * len(states)
    halted = exported(network, tmp_path / "halt.onnx", steps=1, halt_at=0.0)
    chances = halted._step(*(np.repeat(f[None], len(states), 0) for f in halted._first), states.numpy(), mask.numpy().astype(np.int64))[2]  # fmt: skip
    with torch.no_grad():
        y = network.walk(states, mask)[0]
        np.testing.assert_allclose(chances, network.halt(y, network.logits(y)), atol=1e-4)


def test_settling_keeps_the_answers(network: Trm) -> None:
    """Standardization folded into the matrix and weights rounded to halves: the logits move by thousandths."""
    with torch.no_grad():
        before = network(*padded())[-1]
        settle(network)
        after = network(*padded())[-1]
    assert (before - after).abs().max() < 0.05
    assert not torch.equal(before, after)


def test_halted_rows_keep_their_answer(network: Trm, tmp_path: Path) -> None:
    """A row has the logits of the step at which it halted, however long its neighbours go on; some halt early, some late."""
    states, mask = padded()
    numbers = states.numpy(), mask.numpy().astype(np.int64)
    settle(network)
    with torch.no_grad():
        ys = network.walk(states, mask)
        said = [network.logits(y) for y in ys]
        halt = torch.stack([network.halt(y, one) for y, one in zip(ys, said, strict=True)]).numpy()
    limit = float(np.sort(halt[0])[3:5].mean())  # between two rows
    refined = exported(network, tmp_path / "step.onnx", steps=SHAPE.steps, halt_at=limit).refine(*numbers)
    taken = first_above(halt, limit)
    assert len(set(taken.tolist())) > 1
    np.testing.assert_array_equal(refined.steps, taken + 1)
    np.testing.assert_allclose(
        np.concatenate(refined.logits, axis=1), exits(torch.stack(said).numpy(), taken), atol=1e-4
    )


def test_the_loop_is_batch_invariant(network: Trm, tmp_path: Path) -> None:
    """Alone, in order, reversed and padded: the same steps, logits within 1e-4."""
    refiner = exported(network, tmp_path / "step.onnx", steps=SHAPE.steps, halt_at=0.5)
    states, mask = (part.numpy() for part in padded())
    mask = mask.astype(np.int64)
    together, turned = refiner.refine(states, mask), refiner.refine(states[::-1], mask[::-1])
    for row, mail in enumerate(mails()):
        alone = refiner.refine(mail[None].astype(np.float32), np.ones((1, len(mail)), np.int64))
        for head in range(len(HEADS)):
            np.testing.assert_allclose(alone.logits[head][0], together.logits[head][row], atol=1e-4)
            np.testing.assert_allclose(alone.logits[head][0], turned.logits[head][-1 - row], atol=1e-4)
        assert alone.steps[0] == together.steps[row] == turned.steps[-1 - row]


def test_it_learns_what_a_token_says() -> None:
    """After a few epochs the net answers held-out rows; the running mean of the best epoch is what stays."""
    told: list[int] = []
    given, tuning = lesson(), TrmTuning(SHAPE, epochs=12, batch=8, rate=5e-3, decay=0.8, kept=0.9)
    torch.manual_seed(1)
    net = Trm(HIDDEN, SIZES, SHAPE)
    history = fit_steps(net, given, tuning, 1, told.append)
    assert sum(told) == 12 * int(given.fitting.sum())
    assert history[-1].loss < 0.7 * history[0].loss
    said = step_logits(net, [given.states[row] for row in np.flatnonzero(given.validating)])
    reached = head_scores(given, given.validating, said[-1])
    assert reached["category"] > 0.7
    assert np.mean(list(reached.values())) == pytest.approx(max(epoch.scores[-1] for epoch in history), abs=1e-6)


def test_the_same_seed_gives_the_same_net() -> None:
    """Order, thinning and dropout follow from the seed."""
    tuning = TrmTuning(replace(SHAPE, steps=2), epochs=2, batch=16)

    def fitted(seed: int) -> Tensor:
        torch.manual_seed(seed)
        heads = PlainHeads(HIDDEN, SIZES)
        fit_steps(heads, lesson(40), tuning, seed, lambda _: None)
        return heads.answer.weight.detach()

    assert torch.equal(fitted(1), fitted(1))
    assert not torch.equal(fitted(1), fitted(2))


def test_a_halting_head_learns_when_nothing_is_gained(network: Trm) -> None:
    """A row whose later steps are no better may stop; one whose last step is better may not."""
    right = np.array([[2, 1, 2, 0], [1, 1, 2, 0], [2, 2, 1, 0]])
    assert nothing_to_gain(right).tolist() == [[True, False, True, True], [False, False, True, True], [True] * 4]
    draw = np.random.default_rng(2)
    features = draw.normal(size=(400, SHAPE.width + len(SIZES))).astype(np.float32)
    halt = fit_halt(features, features[:, 0] > 0.3)
    assert ((chance(halt, features) > 0.5) == (features[:, 0] > 0.3)).mean() > 0.9
    always = fit_halt(features, np.ones(400, bool))
    assert chance(always, features).min() > 0.99
    halting_head(network, halt)
    np.testing.assert_allclose(network.halt_weight, halt.kernel[:, 0])


def test_every_rule_is_measured_on_the_same_walk(network: Trm) -> None:
    """Fixed steps, two fitted rules, certainty and an unchanged answer; a higher limit never stops earlier."""
    given = lesson()
    rows = np.flatnonzero(given.validating)
    walked = walk(network, [given.states[row] for row in rows], np.zeros((len(rows), sum(SIZES)), np.float32))
    assert walked.logits.shape == (SHAPE.steps, len(rows), sum(SIZES))
    assert rights(given.questions, given.validating, walked.logits).max() <= 2
    half = np.arange(len(rows)) % 2 == 0
    found = list(rules(walked, given.questions, given.validating, [half, ~half]))
    assert [rule.taken.mean() for rule in found[: SHAPE.steps]] == [0, 1, 2, 3]
    assert len({rule.name for rule in found[SHAPE.steps :]}) == 4
    for name in {rule.name for rule in found}:
        means = [rule.taken.mean() for rule in found if rule.name == name]
        assert means == sorted(means)


def test_a_contest_tells_a_gain_from_chance() -> None:
    """Right answers beat random ones beyond the interval; a system is level with itself; thresholds come from other rows."""
    given = lesson()
    draw = np.random.default_rng(1)
    right = np.concatenate([q.answers for q in given.questions], axis=1).astype(np.float32)
    guessed = draw.normal(size=right.shape).astype(np.float32)
    pairs = [(given.fitting, given.validating)]
    good, poor = (answers(given.questions, table, pairs) for table in (right * 8 - 4, guessed))
    contest = Contest(given.questions, given.validating, draws=200)
    ours, theirs = contest.scores([good]), contest.scores([poor, poor])
    assert interval(ours["category"]).value == 1.0
    assert all(gain.above for gain in differences(ours, theirs).values())
    assert not any(gain.above or gain.high for gain in differences(ours, ours).values())
    assert interval(theirs["category"]).low < interval(theirs["category"]).value < interval(theirs["category"]).high
    assert isinstance(fit_halt(guessed, guessed[:, 0] > 0), Affine)
