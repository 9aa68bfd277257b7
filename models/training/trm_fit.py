"""Fits a network over kept token vectors: a loss after every step, a running mean of the weights, the best epoch by held-out rows.

The encoder has been tuned on the same mails, so its vectors of them say more about their labels than those of a new mail do.
Whatever is fitted over them suffers from it alike; tokens are left out at random against it, which also halves the cost.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mailweir.models.export.weights import Floats
from mailweir.models.training.answer import question_f1
from mailweir.models.training.batches import batches
from mailweir.models.training.heads import Mask, Question
from mailweir.models.training.losses import head_loss, label_weights
from mailweir.models.training.network import pad_rows
from mailweir.models.training.schedule import rate
from mailweir.models.training.states import Halves
from mailweir.models.training.trm import TrmShape
from mailweir.models.training.tuning import Tuning

_STANDARD_MAILS = 512  # from which centre and spread are taken


@dataclass(frozen=True, slots=True)
class TrmTuning:
    """How the network is fitted."""

    shape: TrmShape = field(default_factory=TrmShape)
    epochs: int = 10
    batch: int = 32
    rate: float = 1e-3
    decay: float = 0.995  # of the running mean of the weights; the paper's 0.999 outlasts a run of 1,400 batches
    weight_decay: float = 0.1
    kept: float = 0.5  # share of the tokens of a mail that a training step sees
    smoothing: float = 0.05  # of the labels of heads of one
    balance: float = 0.5  # power of the inverse frequency by which labels count more
    seeds: tuple[int, ...] = (7, 8, 9)  # the first is written, the others say how much chance there is


@dataclass(frozen=True, slots=True)
class Lesson:
    """Token vectors of all rows with what is known about each."""

    states: Sequence[Halves]  # per row (tokens, hidden)
    questions: Sequence[Question]
    fitting: Mask  # (rows,)
    validating: Mask  # (rows,)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of labels of each head."""
        return tuple(len(question.labels) for question in self.questions)

    @property
    def hidden(self) -> int:
        """Width of a token vector."""
        return int(self.states[0].shape[1])


@dataclass(frozen=True, slots=True)
class TrmEpoch:
    """What one epoch came to; `scores` are the mean F1 of the heads on the validation rows after each step."""

    number: int
    loss: float
    scores: tuple[float, ...]


Tell = Callable[[int], None]
"""Told after each batch how many mails were done."""


def fit_steps(network: nn.Module, lesson: Lesson, tuning: TrmTuning, seed: int, tell: Tell) -> list[TrmEpoch]:
    """Fit `network` (a `Trm` or `PlainHeads`) in place; it ends with the running mean of its best epoch."""
    rows = np.flatnonzero(lesson.fitting)
    _standardize(network, lesson, rows)
    weights = label_weights(lesson.questions, tuning.balance)
    mean = copy.deepcopy(network).eval()
    optimizer = torch.optim.AdamW(network.parameters(), lr=tuning.rate, weight_decay=tuning.weight_decay)
    total = math.ceil(len(rows) / tuning.batch) * tuning.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, total))
    history: list[TrmEpoch] = []
    best = copy.deepcopy(mean.state_dict())
    for epoch in range(tuning.epochs):
        draw = np.random.default_rng([seed, epoch])
        torch.manual_seed(seed * 1_000 + epoch)
        network.train()
        losses = []
        for chosen in batches(rows, lambda row: len(lesson.states[row]), tuning.batch, draw):
            loss = steps_loss(network(*_thinned(lesson, chosen, tuning.kept, draw)), lesson, chosen, weights, tuning)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            follow(mean, network, tuning.decay)
            losses.append(float(loss.detach()))
            tell(len(chosen))
        history.append(TrmEpoch(epoch, float(np.mean(losses)), _scores(mean, lesson)))
        if history[-1].scores[-1] >= max(one.scores[-1] for one in history):
            best = copy.deepcopy(mean.state_dict())
    network.load_state_dict(best)
    network.eval()
    return history


def steps_loss(
    steps: Sequence[Tensor], lesson: Lesson, rows: Sequence[int], weights: Sequence[Tensor], tuning: TrmTuning
) -> Tensor:
    """Mean over the steps of the sum over the heads: every step is asked to answer (deep supervision)."""
    total, chosen, options = torch.zeros(()), np.array(rows), Tuning(smoothing=tuning.smoothing)
    for logits in steps:
        parts = torch.split(logits, lesson.sizes, dim=1)
        for question, part, weight in zip(lesson.questions, parts, weights, strict=True):
            known = torch.from_numpy(question.known[chosen])
            if known.any():
                answers = torch.from_numpy(question.answers[chosen]).float()[known]
                total = total + head_loss(question.kind, part[known], answers, weight, options)
    return total / len(steps)


def step_logits(network: nn.Module, states: Sequence[Halves], batch: int = 32) -> Floats:
    """(steps, rows, labels): what the network says of the rows after every step."""
    order = sorted(range(len(states)), key=lambda row: len(states[row]))
    found: dict[int, Floats] = {}
    network.eval()
    with torch.no_grad():
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            padded, mask = pad_rows([states[row] for row in chosen], 0)
            values = torch.stack(network(padded.float(), mask)).numpy()
            found.update((row, values[:, place]) for place, row in enumerate(chosen))
    return np.stack([found[row] for row in range(len(states))], axis=1)


def follow(mean: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the running mean (EMA) of the weights towards those of `network`."""
    with torch.no_grad():
        for ours, theirs in zip(mean.parameters(), network.parameters(), strict=True):
            ours.lerp_(theirs, 1 - decay)


def head_scores(lesson: Lesson, rows: Mask, logits: Floats) -> dict[str, float]:
    """F1 per head (macro; micro for a head of many) of (rows of the mask, labels) logits."""
    table = np.full((len(lesson.states), logits.shape[1]), np.nan, np.float32)
    table[rows] = logits
    parts = np.split(table, np.cumsum(lesson.sizes)[:-1], axis=1)
    return {q.name: question_f1(q, rows, part) for q, part in zip(lesson.questions, parts, strict=True)}


def _scores(network: nn.Module, lesson: Lesson) -> tuple[float, ...]:
    held = np.flatnonzero(lesson.validating).tolist()
    steps = step_logits(network, [lesson.states[row] for row in held])
    return tuple(float(np.mean(list(head_scores(lesson, lesson.validating, one).values()))) for one in steps)


def _standardize(network: nn.Module, lesson: Lesson, rows: NDArray[np.int64]) -> None:
    """Vectors of mean 0 and spread 1: those of the encoder are all alike but for a few hundredths."""
    chosen = rows[:: max(1, len(rows) // _STANDARD_MAILS)]
    tokens = torch.from_numpy(np.concatenate([lesson.states[row] for row in chosen]).astype(np.float32))
    network.centre.copy_(tokens.mean(0))
    network.spread.copy_(tokens.std(0) + 1e-6)


def _thinned(lesson: Lesson, rows: Sequence[int], kept: float, draw: np.random.Generator) -> tuple[Tensor, Tensor]:
    """The rows, padded, each with the first token and a random `kept` of the others."""
    chosen = []
    for row in rows:
        states = lesson.states[row]
        used = draw.random(len(states)) < kept
        used[0] = True
        chosen.append(states[used])
    padded, mask = pad_rows(chosen, 0)
    return padded.float(), mask
