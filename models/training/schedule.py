"""The phases of fine-tuning and their rates: heads warm up alone, the main part, and a fine-tuning end at small rates."""

import math
from collections.abc import Iterator

from mailweir.models.training.tuning import Tuning

_RISE = 0.06  # share of the steps in which the rate rises
_FINE = 0.5  # share of the highest rate below which an epoch is one of the end


def rate(step: int, steps: int) -> float:
    """Share of the highest rate: a linear rise, then a half cosine to a hundredth."""
    rise = max(1, int(steps * _RISE))
    if step < rise:
        return (step + 1) / rise
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise))))


def stage(epoch: int, epochs: int) -> str:
    """What an epoch of the adapters is a part of, judged by the rate in its middle."""
    return "main" if rate(round(1000 * (epoch + 0.5) / epochs), 1000) >= _FINE else "fine-tune"


def plan(tuning: Tuning) -> Iterator[str]:
    """A line for each phase to come."""
    yield f"warm-up: {tuning.heads_epochs} epochs of the heads alone, the encoder untouched, rate {tuning.heads_rate:g}"
    main = sum(stage(epoch, tuning.epochs) == "main" for epoch in range(tuning.epochs))
    rates = f"rate to {tuning.adapters_rate:g} in the first {_RISE:.0%} of the steps, then falling"
    yield f"main: {main} epochs of adapters and heads, {rates}"
    end = f"ends before if {tuning.patience} epochs gain nothing on the validation authors"
    yield f"fine-tune: {tuning.epochs - main} epochs below half of that rate; {end}"
