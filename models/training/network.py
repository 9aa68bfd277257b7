"""The network that is fine-tuned: an encoder with low-rank adapters, a pooling query and a linear answer per head, tags.

Adapters after LoRA (Hu et al., 2022, arXiv 2106.09685) through peft, merged into the matrices before export. The lowest layers
stay as they are: their output is computed once per mail and kept, which takes their cost out of every epoch.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from mailweir.models.export.weights import Affine, Encoder, Floats, Layer, Norm
from mailweir.models.training.heads import Question
from mailweir.models.training.tuning import Adapters

_DROPOUT = 0.1
_TARGETS = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]


class Network(nn.Module):  # type: ignore[misc]  # torch is not read by mypy
    """Token ids in, logits of every head and of the tags out."""

    def __init__(self, encoder: Encoder, questions: Sequence[Question], tags: int, adapters: Adapters) -> None:
        """`tags` is the number of tags of a token; 0 for a taxonomy without entities."""
        super().__init__()
        self.adapters = adapters
        self.encoder = torch_encoder(encoder)
        self.encoder.requires_grad_(requires_grad=False)
        upper = list(range(adapters.frozen, len(encoder.layers)))
        shape = LoraConfig(
            r=adapters.rank,
            lora_alpha=adapters.alpha,
            lora_dropout=adapters.dropout,
            target_modules=_TARGETS,
            layers_to_transform=upper,
        )
        inject_adapter_in_model(shape, self.encoder)
        hidden, sizes = encoder.hidden, [len(question.labels) for question in questions]
        self.register_buffer("owner", torch.tensor([i for i, size in enumerate(sizes) for _ in range(size)]))
        # heads see vectors of mean 0 and spread 1: those of the encoder are all alike but for a few hundredths
        self.register_buffer("centre", torch.zeros(hidden))
        self.register_buffer("spread", torch.ones(hidden))
        self.register_buffer("token_centre", torch.zeros(hidden))
        self.register_buffer("token_spread", torch.ones(hidden))
        self.sizes = sizes
        self.queries = nn.Parameter(torch.zeros(len(sizes), hidden))  # zero: the mean of all tokens
        self.answer = nn.Linear(hidden, sum(sizes))
        self.tagger = nn.Linear(hidden, max(tags, 1))
        self.drop = ChannelDropout(_DROPOUT)

    def lower(self, ids: Tensor, mask: Tensor) -> Tensor:
        """What the frozen layers make of (mails, length) ids: (mails, length, hidden)."""
        with torch.no_grad():
            return self._through(self.encoder.embeddings(input_ids=ids), mask, 0, self.adapters.frozen)

    def upper(self, lower: Tensor, mask: Tensor) -> Tensor:
        """Token vectors, (mails, length, hidden), from the output of `lower`."""
        return self._through(lower, mask, self.adapters.frozen, len(self.encoder.encoder.layer))

    def judge(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of all heads side by side, (mails, labels), and of the tags, (mails, length, tags)."""
        scores = tokens @ self.queries.T  # (mails, length, heads)
        weights = torch.softmax(scores.masked_fill(~mask[..., None], -1e9), dim=1)
        pooled = (torch.einsum("blh,bld->bhd", weights, tokens) - self.centre) / self.spread
        logits = (self.drop(pooled)[:, self.owner] * self.answer.weight).sum(-1) + self.answer.bias
        return logits, self.tagger((tokens - self.token_centre) / self.token_spread)

    def standardize(self, mails: Sequence[Tensor]) -> None:
        """Take centre and spread of mails and of tokens from (length, hidden) vectors of the untouched encoder."""
        means, tokens = torch.stack([mail.mean(0) for mail in mails]), torch.cat(list(mails))
        for name, value in (("centre", means), ("token_centre", tokens)):
            getattr(self, name).copy_(value.mean(0))
        for name, value in (("spread", means), ("token_spread", tokens)):
            getattr(self, name).copy_(value.std(0) + 1e-6)

    def trained(self) -> list[nn.Parameter]:
        """Parameters of the adapters."""
        return [p for name, p in self.encoder.named_parameters() if "lora_" in name]

    def fresh(self) -> list[nn.Parameter]:
        """Parameters of the heads."""
        return [self.queries, *self.answer.parameters(), *self.tagger.parameters()]

    def merged(self, encoder: Encoder) -> Encoder:
        """`encoder` with the adapters multiplied into its matrices."""
        layers = list(encoder.layers)
        for index in range(self.adapters.frozen, len(layers)):
            layers[index] = numpy_layer(self.encoder.encoder.layer[index])
        return Encoder(
            encoder.words,
            encoder.positions,
            encoder.embedding_norm,
            tuple(layers),
            encoder.attention_heads,
            encoder.epsilon,
        )

    def _through(self, value: Tensor, mask: Tensor, first: int, last: int) -> Tensor:
        shut = torch.zeros(mask.shape, dtype=value.dtype, device=mask.device).masked_fill(
            ~mask, torch.finfo(value.dtype).min
        )
        for layer in self.encoder.encoder.layer[first:last]:
            value = layer(value, attention_mask=shut[:, None, None, :])[0]
        return value


class ChannelDropout(nn.Module):  # type: ignore[misc]
    """Drops whole channels of a mail (variational dropout, Gal and Ghahramani, 2016).

    One random number per mail and channel: drawing one per token as well took 40 % of a training step on two cores.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, value: Tensor) -> Tensor:
        """(mails, length, channels) or (mails, heads, channels)."""
        if not self.training:
            return value
        kept = torch.empty(value.shape[0], 1, value.shape[2], device=value.device).bernoulli_(1 - self.share)
        return value * kept / (1 - self.share)


def pad_rows(rows: Sequence[NDArray[np.generic]], fill: float) -> tuple[Tensor, Tensor]:
    """Rows of unequal length as one tensor, and where they are: (rows, longest, ...) and (rows, longest)."""
    width = max(len(row) for row in rows)
    value = np.full((len(rows), width, *rows[0].shape[1:]), fill, rows[0].dtype)
    mask = np.zeros((len(rows), width), bool)
    for place, row in enumerate(rows):
        value[place, : len(row)], mask[place, : len(row)] = row, True
    return torch.from_numpy(value), torch.from_numpy(mask)


def torch_encoder(encoder: Encoder) -> BertModel:
    """The encoder as transformers computes it."""
    shape = BertConfig(
        vocab_size=len(encoder.words),
        hidden_size=encoder.hidden,
        num_hidden_layers=len(encoder.layers),
        num_attention_heads=encoder.attention_heads,
        intermediate_size=encoder.layers[0].up.kernel.shape[1],
        max_position_embeddings=len(encoder.positions),
        type_vocab_size=1,
        layer_norm_eps=encoder.epsilon,
        attention_probs_dropout_prob=0.0,  # lets torch fuse the attention
    )
    model = BertModel(shape, add_pooling_layer=False)
    with torch.no_grad():
        _fill(model.embeddings.word_embeddings.weight, encoder.words)
        _fill(model.embeddings.position_embeddings.weight, encoder.positions)
        model.embeddings.token_type_embeddings.weight.zero_()  # already in the words
        _fill_norm(model.embeddings.LayerNorm, encoder.embedding_norm)
        for ours, theirs in zip(encoder.layers, model.encoder.layer, strict=True):
            _fill_layer(theirs, ours)
    for layer in model.encoder.layer:
        layer.attention.output.dropout = ChannelDropout(_DROPOUT)
        layer.output.dropout = ChannelDropout(_DROPOUT)
    return model


def _fill_layer(theirs: nn.Module, ours: Layer) -> None:
    for part, place in zip(_split(ours.qkv), ("query", "key", "value"), strict=True):
        _fill_affine(getattr(theirs.attention.self, place), part)
    _fill_affine(theirs.attention.output.dense, ours.attention_out)
    _fill_norm(theirs.attention.output.LayerNorm, ours.attention_norm)
    _fill_affine(theirs.intermediate.dense, ours.up)
    _fill_affine(theirs.output.dense, ours.down)
    _fill_norm(theirs.output.LayerNorm, ours.output_norm)


def _split(qkv: Affine) -> list[Affine]:
    kernels, biases = np.split(qkv.kernel, 3, axis=1), np.split(qkv.bias, 3)
    return [Affine(kernel, bias) for kernel, bias in zip(kernels, biases, strict=True)]


def _fill(parameter: Tensor, values: Floats) -> None:
    parameter.copy_(torch.from_numpy(np.array(values)))


def _fill_affine(linear: nn.Module, affine: Affine) -> None:
    _fill(linear.weight, affine.kernel.T)
    _fill(linear.bias, affine.bias)


def _fill_norm(theirs: nn.Module, norm: Norm) -> None:
    _fill(theirs.weight, norm.gain)
    _fill(theirs.bias, norm.bias)


def numpy_layer(layer: nn.Module) -> Layer:
    """One layer of a BERT-shaped network of transformers, its adapters merged."""
    attention = layer.attention
    parts = [_affine(getattr(attention.self, place)) for place in ("query", "key", "value")]
    return Layer(
        qkv=Affine(np.concatenate([p.kernel for p in parts], axis=1), np.concatenate([p.bias for p in parts])),
        attention_out=_affine(attention.output.dense),
        attention_norm=numpy_norm(attention.output.LayerNorm),
        up=_affine(layer.intermediate.dense),
        down=_affine(layer.output.dense),
        output_norm=numpy_norm(layer.output.LayerNorm),
    )


def _affine(linear: nn.Module) -> Affine:
    """The matrix with its adapter merged, as peft computes it."""
    if not isinstance(linear, LoraLayer):
        return Affine(numpy_floats(linear.weight.T), numpy_floats(linear.bias))
    base = linear.get_base_layer()
    change = linear.get_delta_weight(linear.active_adapters[0])
    return Affine(numpy_floats((base.weight + change).T), numpy_floats(base.bias))


def numpy_norm(norm: nn.Module) -> Norm:
    """A layer normalization."""
    return Norm(numpy_floats(norm.weight), numpy_floats(norm.bias))


def numpy_floats(value: Tensor) -> Floats:
    """The numbers of a tensor."""
    return np.ascontiguousarray(value.detach().numpy(), dtype=np.float32)
