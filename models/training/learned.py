"""The weights of a network that learn: taken out, put back, followed by a running mean."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

Values = dict[str, Tensor]


def take(network: nn.Module) -> Values:
    """A copy."""
    return {name: parameter.detach().clone() for name, parameter in _learned(network)}


def put(network: nn.Module, values: Values) -> None:
    """Replace them, from whatever device `values` are on."""
    with torch.no_grad():
        for name, parameter in _learned(network):
            parameter.copy_(values[name])


def follow(mean: Values, network: nn.Module, decay: float) -> None:
    """Move the running mean towards the present weights (EMA)."""
    with torch.no_grad():
        for name, parameter in _learned(network):
            mean[name].lerp_(parameter, 1 - decay)


def placed(values: Values, device: str) -> Values:
    """On a device."""
    return {name: value.to(device) for name, value in values.items()}


def _learned(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from ((name, p) for name, p in network.named_parameters() if p.requires_grad)
