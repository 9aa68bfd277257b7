"""Options of fine-tuning; apart from the network, so that a recipe can be read without torch."""

from dataclasses import dataclass, field


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
    epochs: int = 8
    batch: int = 32
    heads_rate: float = 2e-3
    adapters_rate: float = 1e-3
    smoothing: float = 0.05  # of the labels of heads of one
    balance: float = 0.5  # power of the inverse frequency by which labels count more; 0: all alike
    tags_weight: float = 1.0
    decay: float = 0.995  # of the running mean of the weights
    patience: int = 3  # epochs without a gain on the validation authors before it stops
    seed: int = 7
