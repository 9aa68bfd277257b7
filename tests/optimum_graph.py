"""The encoder as the exporter of optimum writes it: a second program that shares no code with our graph writer."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
from torch import nn
from transformers import BertModel

from mailweir.models.export.weights import Encoder, Floats
from mailweir.models.runtime.graph import Ids, session_options
from mailweir.models.training.network import torch_encoder

_OPSET = 18  # that of our own graphs
_SECOND_KIND = 2  # kinds of tokens that the exporter tries, whatever the model has


def optimum_vectors(encoder: Encoder, mails: Sequence[Ids]) -> list[Floats]:
    """The same by the fp32 graph that optimum exports."""
    with TemporaryDirectory() as folder:
        path = _exported(encoder, Path(folder))
        session = onnxruntime.InferenceSession(str(path), session_options(1), providers=["CPUExecutionProvider"])
    return [session.run(["last_hidden_state"], _feed(mail))[0][0] for mail in mails]


def _feed(mail: Ids) -> dict[str, Ids]:
    row = mail[None, :]
    return {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}


def _exported(encoder: Encoder, folder: Path) -> Path:
    from optimum.exporters.onnx import main_export  # seconds to import

    _with_kinds(torch_encoder(encoder)).save_pretrained(folder / "torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about the exporter that optimum uses
        main_export(
            str(folder / "torch"),
            folder / "onnx",
            task="feature-extraction",
            opset=_OPSET,
            local_files_only=True,
            do_validation=False,  # that is what the caller does
        )
    return folder / "onnx" / "model.onnx"


def _with_kinds(model: BertModel) -> BertModel:
    """With two kinds of tokens, both zero: the exporter's sample input has two."""
    model.embeddings.token_type_embeddings = nn.Embedding(_SECOND_KIND, model.config.hidden_size)
    nn.init.zeros_(model.embeddings.token_type_embeddings.weight)
    model.config.type_vocab_size = _SECOND_KIND
    return model
