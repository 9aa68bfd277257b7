"""The reference of the served graph: the encoder as transformers and torch compute it, which share no code with our graph writer."""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import BertModel

from mailweir.models.export.weights import Encoder, Floats, LinearHead
from mailweir.models.runtime.graph import Ids
from mailweir.models.training.measure import Indices
from mailweir.models.training.network import torch_encoder


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


def _vectors(model: BertModel, mail: Ids) -> Floats:
    with torch.no_grad():
        found: Floats = model(torch.from_numpy(mail)[None]).last_hidden_state[0].numpy()
    return found
