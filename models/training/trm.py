"""The tiny recursive model (Jolicoeur-Martineau, 2025, arXiv 2510.04871) over the token vectors of a finished encoder.

One small net of two layers is called over and over. It works on *slots*: one per head, which holds the present decision, and
some for scratch. A step calls it `latent` times on a latent state z, with the mail's tokens before it (cross-attention), then
once on the decisions y without them: as in the paper, what tells the two tasks apart is whether the question is there. The slots
are few and always the same, so they are mixed by a product over the slot axis instead of self-attention, the paper's form for
short contexts. Nothing in it knows which mail it reads, and padding has no share in the attention.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mailweir.models.training.network import ChannelDropout

_SHUT = -1e9  # score of a padded token: its share is exactly zero
EPSILON = 1e-5  # of the root mean square


@dataclass(frozen=True, slots=True)
class TrmShape:
    """Size of the net and how often it is called."""

    width: int = 128
    attention_heads: int = 4
    layers: int = 2  # the paper's: fewer parameters and more recursion did better than more layers
    scratch: int = 2  # slots beside those of the heads
    latent: int = 2  # calls on z per step, before the one on y
    steps: int = 3  # most steps; every one is trained to answer


@dataclass(frozen=True, slots=True)
class Memory:
    """What the net reads of a mail, computed once for all steps."""

    keys: Tensor  # (mails, attention heads, length, width / attention heads)
    values: Tensor  # as keys
    shut: Tensor  # (mails, 1, 1, length): 0 where a token is


class TrmLayer(nn.Module):  # type: ignore[misc]  # torch is not read by mypy
    """Slots among themselves, slots over the tokens, each slot by itself; a sum and a norm after each."""

    def __init__(self, slots: int, shape: TrmShape) -> None:
        super().__init__()
        self.attention_heads = shape.attention_heads
        self.mix = GatedUnit(slots, 2 * slots)
        self.query = nn.Linear(shape.width, shape.width, bias=False)
        self.back = nn.Linear(shape.width, shape.width, bias=False)
        self.think = GatedUnit(shape.width, 2 * shape.width)

    def forward(self, slots: Tensor, memory: Memory | None) -> Tensor:
        """(mails, slots, width); without `memory` the tokens are not read."""
        slots = normed(slots + self.mix(slots.transpose(1, 2)).transpose(1, 2))
        if memory is not None:
            slots = normed(slots + self._read(slots, memory))
        return normed(slots + self.think(slots))

    def _read(self, slots: Tensor, memory: Memory) -> Tensor:
        query = split_heads(self.query(slots), self.attention_heads)
        scores = (
            query @ memory.keys.transpose(2, 3) / math.sqrt(query.shape[-1])
        )  # (mails, attention heads, slots, length)
        read = torch.softmax(scores + memory.shut, dim=-1) @ memory.values
        return self.back(read.transpose(1, 2).flatten(2))


class GatedUnit(nn.Module):  # type: ignore[misc]
    """SwiGLU over the last axis (Shazeer, 2020)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, 2 * inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, value: Tensor) -> Tensor:
        """Same shape as `value`."""
        gate, content = self.up(value).chunk(2, dim=-1)
        return self.down(functional.silu(gate) * content)


class Trm(nn.Module):  # type: ignore[misc]
    """Token vectors in; after every step logits of all heads and the chance that more steps gain nothing."""

    def __init__(self, hidden: int, sizes: Sequence[int], shape: TrmShape, dropout: float = 0.1) -> None:
        """`hidden` is the width of a token vector, `sizes` are the numbers of labels of the heads."""
        super().__init__()
        self.shape, self.sizes = shape, tuple(sizes)
        slots = len(self.sizes) + shape.scratch
        self.register_buffer("centre", torch.zeros(hidden))
        self.register_buffer("spread", torch.ones(hidden))
        self.register_buffer("owner", torch.tensor([i for i, size in enumerate(self.sizes) for _ in range(size)]))
        self.register_buffer("halt_weight", torch.zeros(shape.width + len(self.sizes)))
        self.register_buffer("halt_bias", torch.zeros(1))
        self.drop = ChannelDropout(dropout)
        self.read = nn.Linear(hidden, 2 * shape.width)
        self.first_y = nn.Parameter(torch.randn(slots, shape.width))
        self.first_z = nn.Parameter(torch.randn(slots, shape.width))
        self.layers = nn.ModuleList(TrmLayer(slots, shape) for _ in range(shape.layers))
        self.answer = nn.Linear(shape.width, sum(self.sizes))

    def begin(self, mails: int) -> tuple[Tensor, Tensor]:
        """Where every mail begins: y and z before the first step, (mails, slots, width)."""
        return self.first_y.expand(mails, -1, -1), self.first_z.expand(mails, -1, -1)

    def memory(self, states: Tensor, mask: Tensor) -> Memory:
        """From (mails, length, hidden) token vectors and where there are tokens, (mails, length)."""
        read = self.read(self.drop((states - self.centre) / self.spread))
        keys, values = (split_heads(part, self.shape.attention_heads) for part in read.chunk(2, dim=-1))
        shut = torch.zeros(mask.shape, dtype=states.dtype).masked_fill(~mask, _SHUT)
        return Memory(keys, values, shut[:, None, None, :])

    def net(self, slots: Tensor, memory: Memory | None) -> Tensor:
        """One call of the shared net."""
        for layer in self.layers:
            slots = layer(slots, memory)
        return slots

    def step(self, y: Tensor, z: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Update z from tokens, y and z, `latent` times; then y from y and z."""
        for _ in range(self.shape.latent):
            z = self.net(y + z, memory)
        return self.net(y + z, None), z

    def logits(self, y: Tensor) -> Tensor:
        """All heads side by side, (mails, labels): each label reads its head's slot."""
        return (y[:, self.owner] * self.answer.weight).sum(-1) + self.answer.bias

    def halt(self, y: Tensor, logits: Tensor) -> Tensor:
        """(mails,) probability that more steps gain nothing."""
        return torch.sigmoid(self.features(y, logits) @ self.halt_weight + self.halt_bias)

    def features(self, y: Tensor, logits: Tensor) -> Tensor:
        """What the halting head reads, (mails, width + heads): the mean slot, and each head's highest probability."""
        parts = torch.split(logits, self.sizes, dim=1)
        certain = torch.stack([torch.softmax(part, dim=1).amax(1) for part in parts], dim=1)
        return torch.cat([y.mean(1), certain], dim=1)

    def forward(self, states: Tensor, mask: Tensor) -> list[Tensor]:
        """Logits after every step, each (mails, labels). Between steps the gradient is cut, as in the paper."""
        return [self.logits(y) for y in self.walk(states, mask)]

    def walk(self, states: Tensor, mask: Tensor) -> list[Tensor]:
        """The decisions y after every step, each (mails, slots, width)."""
        memory, (y, z), found = self.memory(states, mask), self.begin(len(states)), []
        for _ in range(self.shape.steps):
            y, z = self.step(y, z, memory)
            found.append(y)
            y, z = y.detach(), z.detach()
        return found


class PlainHeads(nn.Module):  # type: ignore[misc]
    """What the recursion is compared with: a pooling query and a linear answer per head, over the same vectors."""

    def __init__(self, hidden: int, sizes: Sequence[int], dropout: float = 0.1) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.register_buffer("centre", torch.zeros(hidden))
        self.register_buffer("spread", torch.ones(hidden))
        self.register_buffer("owner", torch.tensor([i for i, size in enumerate(self.sizes) for _ in range(size)]))
        self.queries = nn.Parameter(torch.zeros(len(self.sizes), hidden))  # zero: the mean of all tokens
        self.answer = nn.Linear(hidden, sum(self.sizes))
        self.drop = ChannelDropout(dropout)

    def forward(self, states: Tensor, mask: Tensor) -> list[Tensor]:
        """Logits after the only step, (mails, labels)."""
        tokens = (states - self.centre) / self.spread
        scores = (tokens @ self.queries.T).masked_fill(~mask[..., None], _SHUT)  # (mails, length, heads)
        pooled = torch.einsum("blh,bld->bhd", torch.softmax(scores, dim=1), tokens)
        return [(self.drop(pooled)[:, self.owner] * self.answer.weight).sum(-1) + self.answer.bias]


def normed(value: Tensor) -> Tensor:
    """Root mean square norm over the last axis, without a gain (Zhang and Sennrich, 2019)."""
    return value * torch.rsqrt(value.square().mean(-1, keepdim=True) + EPSILON)


def split_heads(value: Tensor, heads: int) -> Tensor:
    """(mails, length, width) as (mails, heads, length, width / heads)."""
    return value.unflatten(-1, (heads, -1)).transpose(1, 2)
