"""The systems that a refinement is judged by: all fitted over the same vectors, on the same rows, with the same seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from mailweir.models.export.weights import Floats
from mailweir.models.training.heads import Mask
from mailweir.models.training.recipe import Steps
from mailweir.models.training.trm import PlainHeads, Trm
from mailweir.models.training.trm_export import settle
from mailweir.models.training.trm_fit import Lesson, TrmTuning, fit_steps, step_logits

HEADS, ONE, TRM = "plain heads, fitted here", "one step", "all steps"

# Linear heads learn slower: at the net's rate they reach a mean F1 of .713 on the validation authors, at this one .778.
_HEADS_RATE, _HEADS_EPOCHS, _HEADS_DECAY = 1e-2, 20, 0.01


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted network and what it says of the rows that nothing was fitted on."""

    network: nn.Module
    logits: Floats  # (steps, rows, labels); NaN for rows that were fitted on
    history: tuple[Mapping[str, Any], ...]


def fit_systems(lesson: Lesson, tuning: TrmTuning, judged: Mask, steps: Steps) -> dict[str, list[Fit]]:
    """Every system with every seed; `judged` are the rows that they answer."""
    mails = int(lesson.fitting.sum())
    plain = replace(tuning, rate=_HEADS_RATE, epochs=_HEADS_EPOCHS, weight_decay=_HEADS_DECAY)
    makes: dict[str, tuple[TrmTuning, Callable[[], nn.Module]]] = {
        HEADS: (plain, lambda: PlainHeads(lesson.hidden, lesson.sizes)),
        ONE: (tuning, lambda: Trm(lesson.hidden, lesson.sizes, replace(tuning.shape, steps=1))),
        TRM: (tuning, lambda: Trm(lesson.hidden, lesson.sizes, tuning.shape)),
    }
    found: dict[str, list[Fit]] = {name: [] for name in makes}
    for seed in tuning.seeds:
        for name, (options, make) in makes.items():
            with steps.step(f"{name}, seed {seed}", mails * options.epochs) as advance:
                torch.manual_seed(seed)
                network = make()
                history = fit_steps(network, lesson, options, seed, advance)
                if isinstance(network, Trm):
                    settle(network)
                found[name].append(
                    Fit(network, _judge(network, lesson, judged), tuple(asdict(epoch) for epoch in history))
                )
            best = max(history, key=lambda epoch: epoch.scores[-1])
            steps.say(f"{name}, seed {seed}: mean F1 of validation {best.scores[-1]:.4f} after epoch {best.number}")
    return found


def _judge(network: nn.Module, lesson: Lesson, judged: Mask) -> Floats:
    rows = np.flatnonzero(judged).tolist()
    said = step_logits(network, [lesson.states[row] for row in rows])
    table = np.full((len(said), len(lesson.states), said.shape[2]), np.nan, np.float32)
    table[:, rows] = said
    return table


def last(fits: Sequence[Fit]) -> list[Floats]:
    """Of every seed, (rows, labels) after the last step."""
    return [fit.logits[-1] for fit in fits]
