"""The reference of the served graph: the encoder as transformers computes it, exported by the exporter of optimum.

Two programs that share no code with our graph writer: where all three agree, the graph says what the network says.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
import torch
from torch import nn
from transformers import BertModel

from mailweir.models.export.weights import Encoder, Floats, LinearHead
from mailweir.models.runtime.graph import Ids, session_options
from mailweir.models.training.measure import Indices
from mailweir.models.training.network import torch_encoder

_OPSET = 18  # that of our own graphs
_SECOND_KIND = 2  # kinds of tokens that the exporter tries, whatever the model has


def torch_vectors(encoder: Encoder, mails: Sequence[Ids]) -> list[Floats]:
    """Per mail (tokens, hidden): its token vectors by transformers and torch, each mail alone."""
    model = torch_encoder(encoder).eval()
    return [_vectors(model, mail) for mail in mails]


def torch_logits(
    encoder: Encoder, heads: Sequence[LinearHead], mails: Sequence[Ids], rows: Indices
) -> dict[str, Floats]:
    """Per head (all mails, labels) of `rows`, the token vectors by torch and the heads by numpy; NaN elsewhere."""
    model = torch_encoder(encoder).eval()
    found = {head.name: np.full((len(mails), len(head.labels)), np.nan, np.float32) for head in heads}
    for row in rows:
        vectors = _vectors(model, mails[row])
        for head in heads:
            found[head.name][row] = head_logits(head, vectors, mails[row])
    return found


def head_logits(head: LinearHead, vectors: Floats, ids: Ids) -> Floats:
    """(labels,) of one mail from its token vectors, (tokens, hidden), as `LinearHead` defines it."""
    scores = (vectors @ head.query).astype(np.float64)
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    known = ids[ids < len(head.lexicon)]
    words = head.lexicon[known].sum(axis=0) / np.sqrt(len(ids))
    return np.asarray(shares @ (vectors - head.centre) @ head.kernel + words + head.bias, np.float32)


def optimum_vectors(encoder: Encoder, mails: Sequence[Ids]) -> list[Floats]:
    """The same by the fp32 graph that optimum exports.

    Raises:
        ImportError: optimum-onnx is missing.
    """
    with TemporaryDirectory() as folder:
        path = export_reference(encoder, Path(folder))
        session = onnxruntime.InferenceSession(str(path), session_options(1), providers=["CPUExecutionProvider"])
    return [session.run(["last_hidden_state"], _feed(mail))[0][0] for mail in mails]


def export_reference(encoder: Encoder, folder: Path) -> Path:
    """Write the fp32 ONNX of ``encoder`` as optimum exports it below ``folder``; gives the file.

    Raises:
        ImportError: optimum-onnx is missing; the message says what to install.
    """
    try:
        from optimum.exporters.onnx import main_export
    except ImportError as error:
        msg = f"the reference graph is exported by optimum-onnx ({error}): pip install 'mailweir[train]'"
        raise ImportError(msg) from error
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


def _vectors(model: BertModel, mail: Ids) -> Floats:
    with torch.no_grad():
        found: Floats = model(torch.from_numpy(mail)[None]).last_hidden_state[0].numpy()
    return found


def _with_kinds(model: BertModel) -> BertModel:
    """With two kinds of tokens, both zero: the exporter's sample input has two."""
    model.embeddings.token_type_embeddings = nn.Embedding(_SECOND_KIND, model.config.hidden_size)
    nn.init.zeros_(model.embeddings.token_type_embeddings.weight)
    model.config.type_vocab_size = _SECOND_KIND
    return model


def _feed(mail: Ids) -> dict[str, Ids]:
    row = mail[None, :]
    return {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
