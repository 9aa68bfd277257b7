"""From annotated rows to what a network reads: vocabulary, tokens, pruned encoder; and the int8 form of a finished encoder."""

from dataclasses import dataclass
from email.utils import parseaddr

import numpy as np
from scipy.sparse import csr_matrix
from tokenizers import Tokenizer

from mailweir.models.export.linear import Int8
from mailweir.models.export.quantize import int8_form
from mailweir.models.export.weights import Encoder
from mailweir.models.runtime.graph import Ids
from mailweir.models.text.model_input import ModelInput, compose_fields
from mailweir.models.text.tokens import MailTokenizer, Tokens
from mailweir.models.text.zone import split_zones
from mailweir.models.training.corpus import MailRow
from mailweir.models.training.e5 import BaseModel
from mailweir.models.training.heads import word_features
from mailweir.models.training.split import Run
from mailweir.models.training.vocabulary import Vocabulary, build_tokenizer, prune, prune_encoder


@dataclass(frozen=True, slots=True)
class Prepared:
    """A base model cut to the corpus' languages, and the rows as it reads them."""

    vocabulary: Vocabulary
    tokenizer: Tokenizer
    read: MailTokenizer
    encoder: Encoder
    inputs: tuple[ModelInput, ...]
    tokens: tuple[Tokens, ...]
    words: csr_matrix  # (rows, pieces seen), count / sqrt(tokens)

    @property
    def mails(self) -> tuple[Ids, ...]:
        """Token ids of each row."""
        return tuple(tokens.ids for tokens in self.tokens)


def row_input(row: MailRow) -> ModelInput:
    """A row as serving would see it."""
    return compose_fields(row.subject, parseaddr(row.sender)[1], row.mailbox, row.body, split_zones(row.body))


def prepare(base: BaseModel, run: Run) -> Prepared:
    """The vocabulary is taken from the rows that may be fitted on; all are read with it."""
    inputs = tuple(row_input(row) for row in run.rows)
    fitting = np.nonzero(run.split.fitting)[0]
    vocabulary = prune(base.pieces, (inputs[i].text for i in fitting), run.recipe.pieces)
    tokenizer = build_tokenizer(vocabulary.pieces)
    read = MailTokenizer(tokenizer, run.recipe.max_tokens)
    tokens = tuple(read(given) for given in inputs)
    words = word_features([each.ids for each in tokens], vocabulary.seen)
    encoder = prune_encoder(base.encoder, vocabulary, run.recipe.max_tokens)
    return Prepared(vocabulary, tokenizer, read, encoder, inputs, tokens, words)


def quantized(encoder: Encoder, run: Run, ready: Prepared) -> Int8:
    """The int8 form, its ranges taken on mails that may be fitted on."""
    fitting = np.nonzero(run.split.fitting)[0]
    chosen = np.random.default_rng(run.recipe.seed).permutation(fitting)[: run.recipe.ranging_mails]
    with run.steps.step("ranges of the int8 form", 1):
        return int8_form(encoder, [ready.tokens[i].ids for i in chosen])
