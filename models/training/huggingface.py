"""A base model out of a Hugging Face folder: configuration, weights and tokenizer of a BERT-shaped encoder.

What can be read is what the graph writer can say: post-norm layers, learned absolute positions, exact GELU. Nothing is fetched.
"""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import logging

from mailweir.models.export.weights import Encoder, Floats
from mailweir.models.training.e5 import BaseModel, Pieces, check_layers
from mailweir.models.training.network import numpy_floats, numpy_layer, numpy_norm
from mailweir.models.training.spelling import read_pieces
from mailweir.schemas.errors import InputError

_FIRST_BEHIND_PADDING = frozenset({"roberta", "xlm-roberta", "camembert"})  # place 0 is row padding + 1 of their table
_SUPPORTED = ("bert", *sorted(_FIRST_BEHIND_PADDING))
_WANTED = {"hidden_act": "gelu", "position_embedding_type": "absolute", "is_decoder": False}
_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    RuntimeError,
    EOFError,
    SafetensorError,
    pickle.UnpicklingError,
)


def read_folder(folder: Path, layers: int, tokens: int) -> BaseModel:
    """The first ``layers`` layers of the encoder in ``folder``, which must have places for ``tokens`` tokens.

    Raises:
        InputError: the folder is none of Hugging Face, lacks a file, holds another kind of model or a damaged one.
        SettingsError: the model has fewer layers.
        ImportError: transformers or torch is missing.
    """
    if not (folder / "config.json").is_file():
        raise _refused(folder, "it has no config.json: name a folder that save_pretrained of transformers has written")
    with _quietly():
        config = _config(folder, layers)
        encoder = _encoder(folder, config)
        pieces = _pieces(folder)
    if len(encoder.positions) < tokens:
        raise _refused(folder, f"it reads {len(encoder.positions)} tokens, and the recipe {tokens}: take a longer one")
    if len(pieces.texts) > len(encoder.words):
        missing = f"{len(pieces.texts)} pieces in its tokenizer, {len(encoder.words)} in its embedding table"
        raise _refused(folder, f"its files do not belong together: {missing}")
    return BaseModel(f"{folder.resolve().name} ({config.model_type}, a Hugging Face folder)", pieces, encoder)


def _config(folder: Path, layers: int) -> Any:
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except _UNREADABLE as error:
        raise _refused(folder, f"its config.json cannot be used ({error}): {_remedy()}") from error
    if config.model_type not in _SUPPORTED:
        raise _refused(folder, f"it holds a model of type {config.model_type}: {_remedy()}")
    for name, wanted in _WANTED.items():
        if getattr(config, name, wanted) != wanted:
            raise _refused(folder, f"its {name} is {getattr(config, name)}, and only {wanted} can be served")
    if config.hidden_size % config.num_attention_heads:
        sizes = f"hidden_size {config.hidden_size}, num_attention_heads {config.num_attention_heads}"
        raise _refused(folder, f"the width is no multiple of the heads ({sizes}): correct its config.json")
    check_layers(layers, config.num_hidden_layers, folder.name)
    config.num_hidden_layers = layers
    return config


def _encoder(folder: Path, config: Any) -> Encoder:
    try:
        model, found = AutoModel.from_pretrained(
            folder, config=config, add_pooling_layer=False, output_loading_info=True, local_files_only=True
        )
    except _UNREADABLE as error:
        raise _refused(folder, f"its weights cannot be read ({_first_line(error)}): save the model again") from error
    if found["missing_keys"]:
        raise _refused(folder, f"its weights lack {min(found['missing_keys'])}: save the model again")
    table = model.embeddings
    first = config.pad_token_id + 1 if config.model_type in _FIRST_BEHIND_PADDING else 0
    return Encoder(
        words=_sum(table.word_embeddings.weight, table.token_type_embeddings.weight[0]),
        positions=numpy_floats(table.position_embeddings.weight)[first:],
        embedding_norm=numpy_norm(table.LayerNorm),
        layers=tuple(numpy_layer(layer) for layer in model.encoder.layer),
        attention_heads=config.num_attention_heads,
        epsilon=config.layer_norm_eps,
    )


def _sum(words: Any, kind: Any) -> Floats:
    return np.asarray(numpy_floats(words) + numpy_floats(kind), np.float32)


def _pieces(folder: Path) -> Pieces:
    remedy = "put the model's tokenizer.json into it (save_pretrained of a fast tokenizer writes one)"
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (
        *_UNREADABLE,
        AttributeError,
        ImportError,
    ) as error:  # AttributeError: of the library, where no file is there
        raise _refused(folder, f"its tokenizer cannot be read ({_first_line(error)}): {remedy}") from error
    if not tokenizer.is_fast:
        raise _refused(folder, f"its tokenizer is none of the library tokenizers: {remedy}")
    return read_pieces(tokenizer, folder)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the library's list of weights that are not used: the upper layers are left out on purpose."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _remedy() -> str:
    return f"take one of {', '.join(_SUPPORTED)}"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _refused(folder: Path, why: str) -> InputError:
    return InputError(f"{folder} cannot be a base: {why}", path=str(folder))
