"""From a fitted net to the numbers of its graph."""

import numpy as np
import torch
from torch import Tensor

from mailweir.models.export.step import StepLayer, StepWeights, halves
from mailweir.models.export.weights import Affine, Floats
from mailweir.models.training.trm import EPSILON, Trm, TrmLayer


def settle(network: Trm) -> None:
    """Put the net into the form that is written: standardization inside the matrix that reads the tokens, matrices in halves.

    What is fitted or measured afterwards holds for the graph.
    """
    with torch.no_grad():
        weight = network.read.weight / network.spread
        network.read.bias -= weight @ network.centre
        network.read.weight.copy_(weight)
        network.centre.zero_()
        network.spread.fill_(1.0)
        for name, parameter in network.named_parameters():
            if not name.endswith("bias"):
                parameter.copy_(torch.from_numpy(halves(parameter.detach().numpy())))


def halting_head(network: Trm, halt: Affine) -> None:
    """Give the net its halting head."""
    network.halt_weight.copy_(torch.from_numpy(halt.kernel[:, 0]))
    network.halt_bias.copy_(torch.from_numpy(halt.bias))


def step_weights(network: Trm, heads: tuple[str, ...]) -> StepWeights:
    """The numbers of a settled net whose heads are called `heads`."""
    return StepWeights(
        heads=dict(zip(heads, network.sizes, strict=True)),
        read=Affine(_kernel(network.read.weight), _floats(network.read.bias)),
        layers=tuple(_layer(layer) for layer in network.layers),
        answer=Affine(_kernel(network.answer.weight), _floats(network.answer.bias)),
        halt=Affine(_floats(network.halt_weight[:, None]), _floats(network.halt_bias)),
        first_y=_floats(network.first_y),
        first_z=_floats(network.first_z),
        attention_heads=network.shape.attention_heads,
        latent=network.shape.latent,
        epsilon=EPSILON,
    )


def _layer(layer: TrmLayer) -> StepLayer:
    return StepLayer(
        mix_up=_kernel(layer.mix.up.weight),
        mix_down=_kernel(layer.mix.down.weight),
        query=_kernel(layer.query.weight),
        back=_kernel(layer.back.weight),
        think_up=_kernel(layer.think.up.weight),
        think_down=_kernel(layer.think.down.weight),
    )


def _kernel(weight: Tensor) -> Floats:
    return _floats(weight.T)


def _floats(value: Tensor) -> Floats:
    return np.ascontiguousarray(value.detach().numpy(), dtype=np.float32)
