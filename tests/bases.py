"""Tiny random base models as Hugging Face folders, made by transformers on the spot: nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

LAYERS, PLACES = 3, 260
_SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "initializer_range": 0.3,  # the usual 0.02 makes all tokens of a random model alike
}
_ROBERTA = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
_BERT = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}


def save_bert(folder: Path, texts: Iterable[str], **changes: Any) -> Path:
    """A BERT with lower-cased WordPiece."""
    inner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    inner.normalizer, inner.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    special = [*_BERT.values()]
    inner.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=900, special_tokens=special, show_progress=False)
    )
    shape = _SIZES | {"vocab_size": inner.get_vocab_size(), "max_position_embeddings": PLACES, "type_vocab_size": 2}
    return _save(folder, BertModel, BertConfig(**(shape | changes)), (inner, _BERT))


def save_xlm_roberta(folder: Path, texts: Iterable[str], **changes: Any) -> Path:
    """An XLM-RoBERTa with SentencePiece unigrams."""
    inner = Tokenizer(models.Unigram())
    inner.normalizer, inner.pre_tokenizer = normalizers.NFKC(), pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=900, special_tokens=[*_ROBERTA.values()], unk_token="<unk>", show_progress=False
    )
    inner.train_from_iterator(texts, trainer)
    return _save(folder, XLMRobertaModel, _roberta(inner, changes), (inner, _ROBERTA))


def save_byte_level(folder: Path, texts: Iterable[str], **changes: Any) -> Path:
    """A RoBERTa with pair encoding of bytes."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.post_processor = processors.ByteLevel(trim_offsets=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=[*_ROBERTA.values()], initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(texts, trainer)
    return _save(folder, XLMRobertaModel, _roberta(inner, changes), (inner, _ROBERTA))


def _roberta(inner: Tokenizer, changes: dict[str, Any]) -> XLMRobertaConfig:
    shape = _SIZES | {"vocab_size": inner.get_vocab_size(), "max_position_embeddings": PLACES + 2, "type_vocab_size": 1}
    return XLMRobertaConfig(**(shape | changes))


def _save(folder: Path, kind: Any, config: Any, spelled: tuple[Tokenizer, dict[str, str]]) -> Path:
    torch.manual_seed(3)
    kind(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=spelled[0], **spelled[1]).save_pretrained(folder)
    return folder
