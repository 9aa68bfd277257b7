"""A Hugging Face folder as base: same vectors, same tokens, a bundle that classifies, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bases import LAYERS, PLACES, save_bert, save_byte_level, save_xlm_roberta
from transformers import AutoModel, AutoTokenizer

from mailweir.models.export.encoder import POOLED, write_classifier
from mailweir.models.runtime import Bundle
from mailweir.models.runtime.graph import Graph
from mailweir.models.training.corpus import MailRow, load_mails
from mailweir.models.training.e5 import BaseModel
from mailweir.models.training.heads import Question, Strength
from mailweir.models.training.huggingface import read_folder
from mailweir.models.training.prepare import row_input
from mailweir.models.training.tiny import TINY, tiny_base
from mailweir.models.training.train import Given, train_bundle
from mailweir.models.training.tune import Examples, Tuner
from mailweir.models.training.tuning import Adapters, Tuning
from mailweir.models.training.vocabulary import build_tokenizer, prune, prune_encoder
from mailweir.schemas.errors import InputError, SettingsError

pytestmark = pytest.mark.usefixtures("one_thread")
Save = Callable[..., Path]
Saved = Callable[..., Path]
EVERY = pytest.mark.parametrize("save", [save_bert, save_xlm_roberta, save_byte_level])


@pytest.fixture(scope="module")
def rows() -> list[MailRow]:
    return [row for row in load_mails() if row.author in {"ada", "cleo", "dov", "ebru", "iris"}][::4]


@pytest.fixture(scope="module")
def texts(rows: list[MailRow]) -> list[str]:
    return [row_input(row).text for row in rows]


@pytest.fixture(scope="module")
def made(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Callable[[Save], Path]:
    """Each kind of folder, made once: a tokenizer takes seconds to learn."""
    return cache(lambda save: save(tmp_path_factory.mktemp("made") / "base", texts))


@pytest.fixture
def saved(made: Callable[[Save], Path], tmp_path: Path) -> Saved:
    """A copy of one's own."""
    return lambda save, name="base": Path(shutil.copytree(made(save), tmp_path / name))


@EVERY
def test_the_graph_gives_the_vectors_of_transformers(
    tmp_path: Path, saved: Saved, texts: list[str], save: Save
) -> None:
    """All layers of the folder in our graph, over the pruned vocabulary, and the library's own forward pass."""
    folder = saved(save)
    base = read_folder(folder, LAYERS, 256)
    vocabulary = prune(base.pieces, texts[:20], limit=0)
    write_classifier(tmp_path / "m.onnx", prune_encoder(base.encoder, vocabulary, 256), ())
    tokenizer = build_tokenizer(vocabulary.pieces)
    ids = [np.array(tokenizer.encode(text).ids)[:200] for text in texts[:20]]
    ours = Graph(tmp_path / "m.onnx", vocabulary.padding).table(ids, POOLED)
    model = AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        theirs = [model(torch.from_numpy(vocabulary.kept[one])[None]).last_hidden_state[0].mean(0) for one in ids]
    np.testing.assert_allclose(ours, np.stack(theirs), atol=1e-4)
    assert np.abs(ours[0] - ours[1]).max() > 0.01


@EVERY
def test_pruning_changes_no_text_that_it_was_pruned_on(saved: Saved, texts: list[str], save: Save) -> None:
    """Pieces and places in the text are those of the folder's own tokenizer, with the marks at both ends."""
    folder = saved(save)
    base, own = read_folder(folder, 1, 256), AutoTokenizer.from_pretrained(folder)
    vocabulary = prune(base.pieces, texts[:40], limit=0)
    tokenizer = build_tokenizer(vocabulary.pieces)
    assert (len(vocabulary.kept) < len(base.pieces.texts)) == (save is not save_byte_level)
    for text in texts[:40]:
        mine, theirs = tokenizer.encode(text), own(text, add_special_tokens=False, return_offsets_mapping=True)
        assert vocabulary.kept[mine.ids].tolist() == [base.pieces.begin, *theirs["input_ids"], base.pieces.end]
        assert mine.offsets[1:-1] == theirs["offset_mapping"]


@EVERY
def test_text_that_spells_a_mark_is_text(saved: Saved, save: Save) -> None:
    """Neither `</s>` nor `[SEP]` in a mail becomes the end mark."""
    base = read_folder(saved(save), 1, 256)
    ids = build_tokenizer(base.pieces).encode("a </s> [SEP] <s> [CLS] <pad> [PAD] b").ids
    assert not {base.pieces.begin, base.pieces.end, base.pieces.padding} & set(ids[1:-1])


@EVERY
def test_a_bundle_over_a_folder_classifies(tmp_path: Path, saved: Saved, rows: list[MailRow], save: Save) -> None:
    """Trained end to end over two of its three layers; the manifest names the base, and both labels and entities come out."""
    base = read_folder(saved(save), 2, TINY.max_tokens)
    recipe = replace(TINY, name="email", layers=2, base=base.name)
    train_bundle(tmp_path / "bundle", rows, recipe, Given(base=base, quiet=True))
    bundle = Bundle.load(tmp_path / "bundle")
    found = bundle.classify([row_input(row) for row in rows[:40]], reasons=True)
    said = {max(zip(one.heads["category"], range(99), strict=False))[1] for one in found}
    assert len(said) > 1
    assert any(one.reasons["category"] for one in found)
    assert bundle.manifest.base.startswith("base (")
    assert "first 2 layers" in bundle.manifest.base
    assert "--base DIR --layers 2" in bundle.manifest.recipe["command"]


def test_a_folder_is_fine_tuned_too(tmp_path: Path, saved: Saved, rows: list[MailRow]) -> None:
    """Adapters in its upper layer, a tagger over its pieces."""
    base = read_folder(saved(save_bert), 2, TINY.max_tokens)
    tuning = Tuning(Adapters(rank=2, frozen=1), heads_epochs=1, epochs=1, batch=16, augment=0.0)
    recipe = replace(TINY, layers=2, tuning=tuning, validation=("ebru",), strengths=(Strength(0.1, balanced=True),))
    manifest = train_bundle(tmp_path / "bundle", rows, recipe, Given(base=base, quiet=True))
    assert manifest.tags
    assert len(Bundle.load(tmp_path / "bundle").classify([row_input(rows[0])])[0].heads) == len(manifest.heads)


def test_torch_weights_are_read_like_safetensors(saved: Saved, texts: list[str]) -> None:
    """`pytorch_model.bin` in place of `model.safetensors`: the same encoder."""
    folder = saved(save_bert)
    first = read_folder(folder, LAYERS, 64)
    state = AutoModel.from_pretrained(folder).state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    np.testing.assert_array_equal(read_folder(folder, LAYERS, 64).encoder.words, first.encoder.words)


def changed(folder: Path, name: str = "config.json", **fields: Any) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model_type": "deberta-v2"}, "type deberta-v2: take one of bert, camembert, roberta, xlm-roberta"),
        ({"model_type": "no-such-model"}, "config.json cannot be used"),
        ({"hidden_act": "relu"}, "its hidden_act is relu, and only gelu can be served"),
        ({"position_embedding_type": "relative_key"}, "its position_embedding_type is relative_key"),
        ({"num_attention_heads": 5}, "no multiple of the heads"),
        ({"hidden_size": 64}, "its weights cannot be read"),
    ],
)
def test_what_the_graph_cannot_say_is_refused(saved: Saved, fields: dict[str, Any], said: str) -> None:
    """Architecture, activation, positions, sizes: the message names the folder and what is wrong."""
    folder = saved(save_bert)
    changed(folder, **fields)
    with pytest.raises(InputError, match="base cannot be a base: ") as caught:
        read_folder(folder, 1, 64)
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("config.json", "save_pretrained of transformers"),
        ("model.safetensors", "its weights cannot be read"),
        ("tokenizer.json", "put the model's tokenizer.json into it"),
    ],
)
def test_a_missing_file_is_named(saved: Saved, missing: str, said: str) -> None:
    """Each of the three files that a base is made of."""
    folder = saved(save_xlm_roberta)
    (folder / missing).unlink()
    with pytest.raises(InputError, match="base cannot be a base: ") as caught:
        read_folder(folder, 1, 64)
    assert said in caught.value.message


def test_damaged_weights_are_refused(saved: Saved, texts: list[str]) -> None:
    """A file that was cut off, and a file without one of the tensors."""
    folder = saved(save_bert)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="its weights cannot be read"):
        read_folder(folder, 1, 64)
    (folder / "model.safetensors").unlink()
    state = AutoModel.from_config(AutoModel.from_pretrained(saved(save_bert, "other")).config).state_dict()
    torch.save({k: v for k, v in state.items() if "layer.0.output.dense" not in k}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"its weights lack encoder\.layer\.0\.output\.dense\.bias"):
        read_folder(folder, 1, 64)


def test_too_many_layers_and_too_few_places(saved: Saved, texts: list[str]) -> None:
    """The message says how many there are."""
    folder = saved(save_bert)
    with pytest.raises(SettingsError, match=rf"--layers 4: give a number from 1 to {LAYERS}"):
        read_folder(folder, 4, 64)
    with pytest.raises(InputError, match=rf"reads {PLACES} tokens, and the recipe 512"):
        read_folder(folder, 1, 512)


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path, texts: list[str]) -> None:
    """More pieces than the table has rows would read past its end."""
    folder = save_bert(tmp_path / "base", texts, vocab_size=100)
    with pytest.raises(InputError, match="do not belong together"):
        read_folder(folder, 1, 64)


def test_a_tokenizer_without_marks_is_refused(saved: Saved, texts: list[str]) -> None:
    """Without an end mark no text can be closed."""
    folder = saved(save_bert)
    changed(folder, "tokenizer_config.json", sep_token=None)
    changed(folder, "special_tokens_map.json", sep_token=None)
    with pytest.raises(InputError, match="no mark for end: set sep_token or eos_token"):
        read_folder(folder, 1, 64)


def test_a_checkpoint_over_another_base_is_refused(rows: list[MailRow]) -> None:
    """Adapters fit only the layers that they were fitted over: the same rows over other weights are another run."""
    base = tiny_base(rows)
    asked = Question("category", "one", ("a", "b"), np.eye(2, dtype=np.int64)[[0, 1] * 3], np.ones(6, bool))
    examples = Examples([np.arange(4, 12) + i for i in range(6)], [asked], [None] * 6)
    tuning = Tuning(Adapters(rank=2, frozen=0))

    def key(one: BaseModel) -> str:
        return Tuner(one.encoder, examples, 0, tuning, None)._key

    other = replace(base, encoder=replace(base.encoder, words=base.encoder.words + 1))
    deeper = replace(base, encoder=replace(base.encoder, layers=base.encoder.layers * 2))
    assert len({key(base), key(other), key(deeper)}) == 3
    assert key(base) == key(base)
