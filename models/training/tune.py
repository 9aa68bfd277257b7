"""Fine-tuning: heads first over the untouched encoder, then adapters and heads together; a checkpoint after every epoch.

Heads first, because fresh heads would pull the encoder away from what it knows (Kumar et al., 2022). The weights that are kept
are a running mean (EMA), which on few thousand mails is worth more than any single step.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mailweir.models.export.weights import Encoder, Floats
from mailweir.models.runtime.graph import Ids
from mailweir.models.training.batches import batches, eased, resampled, sampling_weights
from mailweir.models.training.checkpoint import read_checkpoint, write_checkpoint
from mailweir.models.training.heads import Mask, Question
from mailweir.models.training.losses import head_loss, label_weights, tag_loss
from mailweir.models.training.network import Network, pad_rows
from mailweir.models.training.tuning import Tuning
from mailweir.schemas.errors import InputError

_STANDARD_MAILS = 512  # from which centre and spread are taken
_WARM_UP = 0.06  # share of the steps in which the rate rises


@dataclass(frozen=True, slots=True)
class Examples:
    """What the network learns from: rows of tokens with what is known about each."""

    mails: Sequence[Ids]
    questions: Sequence[Question]
    tags: Sequence[NDArray[np.int64] | None]  # per mail (tokens,), None where entities were not annotated
    late: NDArray[np.float64] | None = None  # (mails,) from 0 to 1: when a curriculum takes it in; None: always

    def only(self, rows: NDArray[np.int64]) -> "Examples":
        """The examples of these rows, in their order."""
        questions = [replace(q, answers=q.answers[rows], known=q.known[rows]) for q in self.questions]
        mails, tags = [self.mails[row] for row in rows], [self.tags[row] for row in rows]
        return Examples(mails, questions, tags, None if self.late is None else self.late[rows])

    def fingerprint(self) -> str:
        """Digest of all that is in them."""
        digest = hashlib.sha256()
        for mail in self.mails:
            digest.update(mail.tobytes())
        for question in self.questions:
            digest.update(question.answers.tobytes() + question.known.tobytes())
        for tags in self.tags:
            digest.update(b"-" if tags is None else tags.tobytes())
        digest.update(b"" if self.late is None else self.late.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch came to; `score` is the mean F1 of the heads on the validation rows."""

    phase: str
    number: int
    loss: float
    score: float


Tell = Callable[[int, float], None]
"""Told after each batch: mails done, loss."""
Score = Callable[[Floats], float]
"""Mean F1 of the heads on the validation rows from (rows, labels) logits."""


class Tuner:
    """Fits a network on the rows of `fitting`, keeps the weights that do best on those of `validating`."""

    def __init__(self, encoder: Encoder, examples: Examples, tags: int, tuning: Tuning, folder: Path | None) -> None:
        """`folder` takes the checkpoint; None keeps none."""
        torch.manual_seed(tuning.seed)
        self.network = Network(encoder, examples.questions, tags, tuning.adapters)
        self.history: list[Epoch] = []
        self._examples = examples
        self._tuning = tuning
        self._file = folder / "checkpoint.pt" if folder else None
        self._mean: dict[str, Tensor] = {}
        self._best: dict[str, Tensor] = {}
        self._lower: list[NDArray[np.float16]] = []
        self._weights = label_weights(examples.questions, tuning.balance)
        given = f"{asdict(tuning)}{examples.fingerprint()}{encoder.fingerprint()}"
        self._key = hashlib.sha256(given.encode()).hexdigest()

    def fit(self, fitting: Mask, validating: Mask, score: Score, tell: Tell) -> Network:
        """Train through all phases, from the checkpoint if there is one; the network with the best weights."""
        self._cache()
        self._standardize(fitting)
        state = self._resume()
        if "heads" not in state:
            self._heads_phase(np.flatnonzero(fitting), tell)
        self._adapters_phase(np.flatnonzero(fitting), np.flatnonzero(validating), score, tell, state)
        self._put(self._best)
        self.network.eval()
        return self.network

    def logits(self, rows: Sequence[int]) -> tuple[Floats, list[Floats]]:
        """Logits of all heads, (rows, labels), and of the tags, (tokens, tags) per row, with the present weights."""
        self.network.eval()
        answers: dict[int, Floats] = {}
        tags: dict[int, Floats] = {}
        order = sorted(rows, key=lambda row: len(self._examples.mails[row]))
        with torch.no_grad():
            for start in range(0, len(order), self._tuning.batch):
                chosen = order[start : start + self._tuning.batch]
                logits, tagged = self._forward(chosen)
                for place, row in enumerate(chosen):
                    answers[row] = logits[place].numpy()
                    tags[row] = tagged[place, : len(self._examples.mails[row])].numpy()
        return np.stack([answers[row] for row in rows]), [tags[row] for row in rows]

    def _cache(self) -> None:
        mails = self._examples.mails

        def lower(rows: Sequence[int]) -> Tensor:
            ids, mask = pad_rows([mails[row] for row in rows], 0)
            return self.network.lower(ids, mask)

        found = self._in_batches(range(len(mails)), lower)
        self._lower = [found[row] for row in range(len(mails))]

    def _in_batches(
        self, rows: Iterable[int], made: Callable[[Sequence[int]], Tensor]
    ) -> dict[int, NDArray[np.float16]]:
        """Per row (tokens, hidden): what `made` gives for batches of like length, kept in half precision."""
        self.network.eval()
        mails = self._examples.mails
        order = sorted((int(row) for row in rows), key=lambda row: len(mails[row]))
        found: dict[int, NDArray[np.float16]] = {}
        with torch.no_grad():
            for start in range(0, len(order), self._tuning.batch):
                chosen = order[start : start + self._tuning.batch]
                values = made(chosen).to(torch.float16).numpy()
                found.update((row, values[place, : len(mails[row])].copy()) for place, row in enumerate(chosen))
        return found

    def _standardize(self, fitting: Mask) -> None:
        rows = np.flatnonzero(fitting)[:: max(1, int(fitting.sum()) // _STANDARD_MAILS)]
        with torch.no_grad():
            self.network.standardize([self._vectors([int(row)])[0][0] for row in rows])

    def _vectors(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        lower, mask = pad_rows([self._lower[row] for row in rows], 0)
        return self.network.upper(lower.float(), mask), mask

    def _forward(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        return self.network.judge(*self._vectors(rows))

    def _heads_phase(self, rows: NDArray[np.int64], tell: Tell) -> None:
        """Heads alone, on token vectors that are computed once and kept."""
        self.network.eval()
        kept = self._in_batches(rows, lambda chosen: self._vectors(chosen)[0])
        optimizer = torch.optim.AdamW(self.network.fresh(), lr=self._tuning.heads_rate, weight_decay=0.01)
        for epoch in range(self._tuning.heads_epochs):
            self._seed("heads", epoch)
            losses = []
            for chosen in self._batches(rows, epoch):
                tokens, mask = pad_rows([kept[row] for row in chosen], 0)
                losses.append(self._step(optimizer, self.network.judge(tokens.float(), mask), chosen))
                tell(len(chosen), losses[-1])
            self.history.append(Epoch("heads", epoch, float(np.mean(losses)), math.nan))

    def _adapters_phase(
        self, rows: NDArray[np.int64], held: NDArray[np.int64], score: Score, tell: Tell, state: dict[str, Any]
    ) -> None:
        tuning = self._tuning
        groups = [
            {"params": self.network.trained(), "lr": tuning.adapters_rate},
            {"params": self.network.fresh(), "lr": tuning.heads_rate / 2},
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
        steps = sum(math.ceil(len(self._eased(rows, epoch)) / tuning.batch) for epoch in range(tuning.epochs))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
        if state:
            optimizer.load_state_dict(state["optimizer"])
            schedule.load_state_dict(state["schedule"])
        elif not self._mean:
            self._mean = self._take()
        for epoch in range(len([e for e in self.history if e.phase == "adapters"]), tuning.epochs):
            self._seed("adapters", epoch)
            self.network.train()
            losses = []
            for chosen in self._batches(self._eased(rows, epoch), epoch):
                losses.append(self._step(optimizer, self._forward(chosen), chosen))
                schedule.step()
                self._follow()
                tell(len(chosen), losses[-1])
            self._judge_epoch(epoch, float(np.mean(losses)), held, score)
            self._save(optimizer, schedule)
            if self._stalled():
                return

    def _judge_epoch(self, epoch: int, loss: float, held: NDArray[np.int64], score: Score) -> None:
        """Measure the running mean of the weights and remember it if it is the best so far."""
        present = self._take()
        self._put(self._mean)
        reached = score(self.logits([int(row) for row in held])[0])
        if reached >= max((e.score for e in self.history if e.phase == "adapters"), default=-1.0):
            self._best = {name: value.clone() for name, value in self._mean.items()}
        self.history.append(Epoch("adapters", epoch, loss, reached))
        self._put(present)

    def _stalled(self) -> bool:
        scores = [e.score for e in self.history if e.phase == "adapters"]
        return len(scores) - 1 - int(np.argmax(scores)) >= self._tuning.patience

    def _step(self, optimizer: torch.optim.Optimizer, given: tuple[Tensor, Tensor], rows: Sequence[int]) -> float:
        loss = self._loss(*given, rows)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], 1.0)
        optimizer.step()
        return float(loss.detach())

    def _loss(self, logits: Tensor, tags: Tensor, rows: Sequence[int]) -> Tensor:
        total, chosen = torch.zeros(()), np.array(rows)
        parts = torch.split(logits, self.network.sizes, dim=1)
        for question, part, weights in zip(self._examples.questions, parts, self._weights, strict=True):
            known = torch.from_numpy(question.known[chosen])
            if known.any():
                answers = torch.from_numpy(question.answers[chosen]).float()[known]
                total = total + head_loss(question.kind, part[known], answers, weights, self._tuning)
        wanted = [self._examples.tags[row] for row in rows]
        return total + self._tuning.tags_weight * tag_loss(tags, wanted)

    def _batches(self, rows: NDArray[np.int64], epoch: int) -> Iterator[list[int]]:
        """In an order that depends on seed and epoch alone; by default every row once."""
        draw = np.random.default_rng([self._tuning.seed, epoch])
        if self._tuning.sampling:
            weights = sampling_weights(self._examples.questions, rows, self._tuning.sampling)
            rows = resampled(rows, weights, draw)
        return batches(rows, lambda row: len(self._examples.mails[row]), self._tuning.batch, draw)

    def _eased(self, rows: NDArray[np.int64], epoch: int) -> NDArray[np.int64]:
        return eased(rows, self._examples.late, epoch, self._tuning.curriculum)

    def _seed(self, phase: str, epoch: int) -> None:
        # per epoch, so that a run that was resumed drops the same units as one that was not
        torch.manual_seed(self._tuning.seed * 1_000 + epoch + (500 if phase == "heads" else 0))

    def _learned(self) -> Iterator[tuple[str, Tensor]]:
        yield from ((name, p) for name, p in self.network.named_parameters() if p.requires_grad)

    def _take(self) -> dict[str, Tensor]:
        return {name: parameter.detach().clone() for name, parameter in self._learned()}

    def _put(self, values: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self._learned():
                parameter.copy_(values[name])

    def _follow(self) -> None:
        with torch.no_grad():
            for name, parameter in self._learned():
                self._mean[name].lerp_(parameter, 1 - self._tuning.decay)

    def _save(self, optimizer: torch.optim.Optimizer, schedule: Any) -> None:
        if self._file is None:
            return
        state = {
            "key": self._key,
            "heads": True,
            "now": self._take(),
            "mean": self._mean,
            "best": self._best,
            "history": [asdict(epoch) for epoch in self.history],
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
        }
        write_checkpoint(self._file, state)

    def _resume(self) -> dict[str, Any]:
        if self._file is None or not self._file.exists():
            return {}
        state = read_checkpoint(self._file)
        if state.get("key") != self._key:
            message = f"{self._file} belongs to a run with other data or options: delete it, or name another folder"
            raise InputError(message, path=str(self._file))
        self._put(state["now"])
        self._mean, self._best = state["mean"], state["best"]
        self.history = [Epoch(**epoch) for epoch in state["history"]]
        return state


def _rate(step: int, steps: int) -> float:
    """Linear rise, then a half cosine to a hundredth."""
    rise = max(1, int(steps * _WARM_UP))
    if step < rise:
        return (step + 1) / rise
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise))))
