"""The weights of a network that learn: taken out, put back, followed by a running mean, kept for the run after."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from mailweir.models.training.start import Start, Weights
from mailweir.schemas.errors import InputError

Values = dict[str, Tensor]

_SCALES = ("centre", "spread", "token_centre", "token_spread")  # what heads and tagger see is measured by them


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


def keep(network: nn.Module) -> Weights:
    """All that another run needs to go on from here, in half precision."""
    return {name: value.detach().cpu().numpy().astype(np.float16) for name, value in _kept(network)}


def resume_from(network: nn.Module, start: Start) -> None:
    """Put the weights of a bundle into the network.

    Raises:
        InputError: they are of a network of another shape.
    """
    for name, value in _kept(network):
        found = start.weights.get(name)
        if found is None or found.shape != tuple(value.shape):
            there = "none" if found is None else f"one of {found.shape}"
            message = (
                f"cannot continue from {start.version}: {name} is of {tuple(value.shape)}, the bundle has {there}: "
                "train with its number of layers, its rank and its labels, or from the base"
            )
            raise InputError(message, name=name)
        with torch.no_grad():
            value.copy_(torch.from_numpy(found.astype(np.float32)))


def _learned(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from ((name, p) for name, p in network.named_parameters() if p.requires_grad)


def _kept(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from _learned(network)
    yield from ((name, buffer) for name, buffer in network.named_buffers() if name in _SCALES)
