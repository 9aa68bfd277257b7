"""Options of fine-tuning; apart from the network, so that a recipe can be read without torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from mailweir.schemas.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Adapters:
    """Shape of the low-rank adapters."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0  # 0.05 makes a step 1.8 times as long on a CPU: the random numbers cost more than the products
    frozen: int = 2  # lowest layers that are left as they are


@dataclass(frozen=True, slots=True)
class Tuning:
    """How the network is fitted."""

    adapters: Adapters = field(default_factory=Adapters)
    heads_epochs: int = 8
    epochs: int = 6  # of 8,000 rows with the public ones; as many steps as 8 of 5,500, after which nothing was gained
    batch: int = 32
    heads_rate: float = 2e-3
    adapters_rate: float = 1e-3
    smoothing: float = 0.05  # of the labels of heads of one
    balance: float = 0.5  # class weights: power of the inverse frequency by which labels count more; 0: all alike
    focal: float = (
        0.0  # focal loss (Lin et al., 2017): the higher, the less a mail counts that is answered well already
    )
    sampling: float = (
        0.0  # power of the inverse frequency by which mails with rare labels are taken more often; 0: all once
    )
    curriculum: int = (
        0  # epochs of the adapters that leave out the end of the corpus, which is to be sorted from easy to hard
    )
    augment: float = 0.3  # share of the mails to learn from that are learned from in another form as well
    tags_weight: float = 1.0
    decay: float = 0.995  # of the running mean of the weights
    patience: int = 3  # epochs without a gain on the validation authors before it stops
    seed: int = 7
    accumulate: int = (
        1  # batches whose gradients make one step: the step of a larger batch in the memory of a small one
    )
    bits: int = 0  # of the products: 16 (bfloat16), 32, or 0: 16 on a graphics card that has them, else 32
    memory_gb: float = (
        0.0  # for what frozen layers gave, which is kept; above it a file keeps it; 0: half of what is free
    )


_BOUNDS: Mapping[str, tuple[float, float]] = {
    "rank": (1, 256),
    "alpha": (1, 512),
    "dropout": (0, 0.9),
    "frozen": (0, 12),
    "heads_epochs": (0, 100),
    "epochs": (1, 100),
    "batch": (1, 1024),
    "heads_rate": (1e-6, 1),
    "adapters_rate": (1e-6, 1),
    "smoothing": (0, 0.5),
    "balance": (0, 2),
    "focal": (0, 10),
    "sampling": (0, 2),
    "curriculum": (0, 100),
    "augment": (0, 1),
    "tags_weight": (0, 100),
    "decay": (0, 0.99999),
    "patience": (1, 100),
    "seed": (0, 1_000_000),
    "accumulate": (1, 1024),
    "bits": (0, 32),
    "memory_gb": (0, 1_000_000),
}
"""Least and largest value of each option."""
_CHOICES: Mapping[str, tuple[float, ...]] = {"bits": (0, 16, 32)}
_CONTINUED, _GENTLE = 2, 0.3  # epochs over corpus and corrections, and share of the first run's rates
_WITHOUT_EFFECT = ("memory_gb",)  # where vectors lie is nothing that a weight could tell
_LATER = ("accumulate", "bits")  # a run from before them goes on: at their defaults they say nothing


def changed(tuning: Tuning, options: Sequence[str]) -> Tuning:
    """`tuning` with options as a user writes them: `focal=2`, `rank=8`.

    Raises:
        SettingsError: there is no such option, or its value is no number or outside its bounds; the message says which are.
    """
    for option in options:
        name, _, value = option.partition("=")
        tuning = _with(tuning, name.strip(), value.strip())
    return tuning


def continued(tuning: Tuning) -> Tuning:
    """The same for a run that goes on from a bundle: its heads are no strangers to the encoder, and what it knows is to stay."""
    return replace(
        tuning,
        heads_epochs=0,
        epochs=min(_CONTINUED, tuning.epochs),
        heads_rate=tuning.heads_rate * _GENTLE,
        adapters_rate=tuning.adapters_rate * _GENTLE,
    )


def check_frozen(tuning: Tuning, layers: int) -> None:
    """Raise `SettingsError` if `tuning` leaves none of the encoder's layers to tune."""
    frozen = tuning.adapters.frozen
    if frozen >= layers:
        raise SettingsError(f"--set frozen={frozen}: give at most {layers - 1}: there are {layers} layers")


def differences(tuning: Tuning, usual: Tuning) -> Iterator[str]:
    """The options by which `tuning` differs from `usual`, as `changed` reads them."""
    for mine, theirs in ((tuning.adapters, usual.adapters), (tuning, usual)):
        for name in (given.name for given in fields(mine) if given.name not in {"adapters", *_WITHOUT_EFFECT}):
            if getattr(mine, name) != getattr(theirs, name):
                yield f"{name}={getattr(mine, name)}"


def identity(tuning: Tuning) -> dict[str, Any]:
    """All that changes the weights: what a checkpoint or a study must have in common with the run that goes on from it."""
    usual = Tuning()
    left_out = {*_WITHOUT_EFFECT, *(name for name in _LATER if getattr(tuning, name) == getattr(usual, name))}
    return {name: value for name, value in asdict(tuning).items() if name not in left_out}


def _with(tuning: Tuning, name: str, value: str) -> Tuning:
    if name not in _BOUNDS:
        raise SettingsError(f"--set {name}: there is no such option: {', '.join(_BOUNDS)} are there")
    holder: Adapters | Tuning = tuning.adapters if hasattr(tuning.adapters, name) else tuning
    low, high = _BOUNDS[name]
    kind = type(getattr(holder, name))
    try:
        number = kind(value)
    except ValueError:
        number = None
    if number is None or not low <= number <= high:
        what = "a whole number" if kind is int else "a number"
        raise SettingsError(f"--set {name}={value}: give {what} from {low:g} to {high:g}, as in --set {name}={high:g}")
    if number not in _CHOICES.get(name, (number,)):
        raise SettingsError(f"--set {name}={value}: give one of {', '.join(map(str, _CHOICES[name]))}")
    if isinstance(holder, Adapters):
        return replace(tuning, adapters=replace(holder, **{name: number}))
    return replace(tuning, **{name: number})
