"""Fine-tuning: heads first over the untouched encoder, then adapters and heads together; a checkpoint after every epoch.

Heads first, because fresh heads would pull the encoder away from what it knows (Kumar et al., 2022). The weights that are kept
are a running mean (EMA), which on few thousand mails is worth more than any single step.
"""

import hashlib
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mailweir.models.export.weights import Encoder, Floats
from mailweir.models.training.batches import batches, eased, resampled, sampling_weights
from mailweir.models.training.checkpoint import read_checkpoint, write_checkpoint
from mailweir.models.training.examples import Epoch, Examples, Score, Tell
from mailweir.models.training.heads import Mask
from mailweir.models.training.learned import Values, follow, placed, put, resume_from, take
from mailweir.models.training.losses import head_loss, label_weights, tag_loss
from mailweir.models.training.machine import this_machine
from mailweir.models.training.network import Network, pad_rows
from mailweir.models.training.schedule import plan, rate
from mailweir.models.training.shelf import Shelf, shelf_bytes
from mailweir.models.training.start import Start
from mailweir.models.training.tuning import Tuning, identity
from mailweir.schemas.errors import InputError

_STANDARD_MAILS = 512  # from which centre and spread are taken

Judged = Callable[[Sequence[int]], tuple[Tensor, Tensor]]
"""Logits of heads and tags of a batch of rows."""


class Tuner:
    """Fits a network on the rows of `fitting`, keeps the weights that do best on those of `validating`."""

    def __init__(
        self,
        encoder: Encoder,
        examples: Examples,
        tags: int,
        tuning: Tuning,
        folder: Path | None,
        start: Start | None = None,
    ) -> None:
        """`folder` takes the checkpoint; None keeps none. It goes on from `start`; None: from the untouched encoder.

        Raises:
            InputError: `start` is of a network of another shape.
        """
        torch.manual_seed(tuning.seed)
        self._machine = this_machine()
        self.network: Network = Network(encoder, examples.questions, tags, tuning.adapters).to(self._machine.device)
        if start:
            resume_from(self.network, start)
        self._fresh = start is None
        self.history: list[Epoch] = []
        self._examples = examples
        self._tuning = tuning
        self._file = folder / "checkpoint.pt" if folder else None
        self._mean: Values = {}
        self._best: Values = {}
        self._room = folder or Path(tempfile.gettempdir())
        self._hidden = encoder.hidden
        self._lower = Shelf({}, encoder.hidden)
        self._weights = [w.to(self._machine.device) for w in label_weights(examples.questions, tuning.balance)]
        parts = identity(tuning), examples.fingerprint(), encoder.fingerprint(), start.fingerprint() if start else ""
        self._key = hashlib.sha256("".join(map(str, parts)).encode()).hexdigest()

    def plan(self) -> Iterator[str]:
        """Lines about machine, memory and phases, before they are worked with."""
        yield f"{self._machine.line}; products of {16 if self._machine.short(self._tuning.bits) else 32} bits"
        kept, budget = self._kept_bytes / 1e9, self._machine.budget(self._tuning.memory_gb) / 1e9
        where = f"kept in {'memory' if self._fits else f'a file in {self._room}'}"
        yield f"vectors that are computed once: up to {kept:.2g} GB, {where} (budget {budget:.2g} GB)"
        yield from plan(self._tuning)

    def fit(self, fitting: Mask, validating: Mask, score: Score, tell: Tell) -> Network:
        """Train through all phases, from the checkpoint if there is one; the network with the best weights."""
        self._cache()
        if self._fresh:
            self._standardize(fitting)
        state = self._resume()
        if "heads" not in state and self._tuning.heads_epochs:
            self._heads_phase(np.flatnonzero(fitting), tell)
        self._adapters_phase(np.flatnonzero(fitting), np.flatnonzero(validating), score, tell, state)
        put(self.network, self._best)
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
                logits, tagged = (each.float().cpu() for each in self._forward(chosen))
                for place, row in enumerate(chosen):
                    answers[row] = logits[place].numpy()
                    tags[row] = tagged[place, : len(self._examples.mails[row])].numpy()
        return np.stack([answers[row] for row in rows]), [tags[row] for row in rows]

    @property
    def _kept_bytes(self) -> int:
        """Of the frozen layers' output, and in the first phase of the untouched encoder's as well."""
        return 2 * shelf_bytes([len(mail) for mail in self._examples.mails], self._hidden)

    @property
    def _fits(self) -> bool:
        return self._kept_bytes <= self._machine.budget(self._tuning.memory_gb)

    def _cache(self) -> None:
        mails = self._examples.mails

        def lower(rows: Sequence[int]) -> Tensor:
            ids, mask = self._padded([mails[row] for row in rows])
            return self.network.lower(ids, mask)

        self._lower = self._in_batches(range(len(mails)), lower)

    def _in_batches(self, rows: Iterable[int], made: Callable[[Sequence[int]], Tensor]) -> Shelf:
        """What `made` gives for batches of like length."""
        self.network.eval()
        mails = self._examples.mails
        order = sorted((int(row) for row in rows), key=lambda row: len(mails[row]))
        found = Shelf({row: len(mails[row]) for row in order}, self._hidden, None if self._fits else self._room)
        with torch.no_grad(), self._products():
            for start in range(0, len(order), self._tuning.batch):
                chosen = order[start : start + self._tuning.batch]
                values = made(chosen).to("cpu", torch.float16).numpy()
                for place, row in enumerate(chosen):
                    found.put(row, values[place, : len(mails[row])])
        return found

    def _products(self) -> AbstractContextManager[object]:
        return self._machine.products(self._tuning.bits)

    def _padded(self, rows: Sequence[NDArray[Any]]) -> tuple[Tensor, Tensor]:
        value, mask = pad_rows(rows, 0)
        return value.to(self._machine.device), mask.to(self._machine.device)

    def _standardize(self, fitting: Mask) -> None:
        rows = np.flatnonzero(fitting)[:: max(1, int(fitting.sum()) // _STANDARD_MAILS)]
        with torch.no_grad():
            self.network.standardize([self._vectors([int(row)])[0][0] for row in rows])

    def _vectors(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        lower, mask = self._padded([self._lower[row] for row in rows])
        return self.network.upper(lower.float(), mask), mask

    def _forward(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        return self._judged(*self._vectors(rows))

    def _judged(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        with self._products():
            found: tuple[Tensor, Tensor] = self.network.judge(tokens.float(), mask)
        return found

    def _heads_phase(self, rows: NDArray[np.int64], tell: Tell) -> None:
        """Heads alone, on token vectors that are computed once and kept."""
        self.network.eval()
        kept = self._in_batches(rows, lambda chosen: self._vectors(chosen)[0])
        optimizer = torch.optim.AdamW(self.network.fresh(), lr=self._tuning.heads_rate, weight_decay=0.01)
        for epoch in range(self._tuning.heads_epochs):
            self._seed("heads", epoch)
            losses = []
            for group in self._groups(rows, epoch):
                losses += self._step(
                    optimizer, lambda rows: self._judged(*self._padded([kept[row] for row in rows])), group
                )
                tell(sum(map(len, group)), losses[-1])
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
        sizes = (math.ceil(len(self._eased(rows, epoch)) / tuning.batch) for epoch in range(tuning.epochs))
        steps = sum(math.ceil(size / tuning.accumulate) for size in sizes)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps))
        if state:
            optimizer.load_state_dict(state["optimizer"])
            schedule.load_state_dict(state["schedule"])
        elif not self._mean:
            self._mean = take(self.network)
        for epoch in range(len([e for e in self.history if e.phase == "adapters"]), tuning.epochs):
            self._seed("adapters", epoch)
            self.network.train()
            losses = []
            for group in self._groups(self._eased(rows, epoch), epoch):
                losses += self._step(optimizer, self._forward, group)
                schedule.step()
                follow(self._mean, self.network, tuning.decay)
                tell(sum(map(len, group)), losses[-1])
            self._judge_epoch(epoch, float(np.mean(losses)), held, score)
            self._save(optimizer, schedule)
            if self._stalled():
                return

    def _judge_epoch(self, epoch: int, loss: float, held: NDArray[np.int64], score: Score) -> None:
        """Measure the running mean of the weights and remember it if it is the best so far."""
        present = take(self.network)
        put(self.network, self._mean)
        reached = score(self.logits([int(row) for row in held])[0])
        if reached >= max((e.score for e in self.history if e.phase == "adapters"), default=-1.0):
            self._best = {name: value.clone() for name, value in self._mean.items()}
        self.history.append(Epoch("adapters", epoch, loss, reached))
        put(self.network, present)

    def _stalled(self) -> bool:
        scores = [e.score for e in self.history if e.phase == "adapters"]
        return len(scores) - 1 - int(np.argmax(scores)) >= self._tuning.patience

    def _step(self, optimizer: torch.optim.Optimizer, judged: Judged, group: Sequence[list[int]]) -> list[float]:
        """One step from the mean gradient of a group of batches; the loss of each."""
        optimizer.zero_grad()
        losses = []
        for rows in group:
            loss = self._loss(*judged(rows), rows)
            (loss / len(group)).backward()
            losses.append(float(loss.detach()))
        torch.nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], 1.0)
        optimizer.step()
        return losses

    def _loss(self, logits: Tensor, tags: Tensor, rows: Sequence[int]) -> Tensor:
        device = self._machine.device
        total, chosen = torch.zeros((), device=device), np.array(rows)
        parts = torch.split(logits.float(), self.network.sizes, dim=1)
        for question, part, weights in zip(self._examples.questions, parts, self._weights, strict=True):
            known = torch.from_numpy(question.known[chosen]).to(device)
            if known.any():
                answers = torch.from_numpy(question.answers[chosen]).to(device).float()[known]
                total = total + head_loss(question.kind, part[known], answers, weights, self._tuning)
        wanted = [self._examples.tags[row] for row in rows]
        return total + self._tuning.tags_weight * tag_loss(tags.float(), wanted)

    def _groups(self, rows: NDArray[np.int64], epoch: int) -> Iterator[list[list[int]]]:
        """Batches whose gradients make one step."""
        left = self._batches(rows, epoch)
        return iter(lambda: list(islice(left, self._tuning.accumulate)), [])

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

    def _save(self, optimizer: torch.optim.Optimizer, schedule: Any) -> None:
        if self._file is None:
            return
        state = {
            "key": self._key,
            "heads": True,
            "now": take(self.network),
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
        put(self.network, state["now"])
        self._mean, self._best = (placed(state[name], self._machine.device) for name in ("mean", "best"))
        self.history = [Epoch(**epoch) for epoch in state["history"]]
        return state
