"""A base model's own tokenizer, kept as it is but for its vocabulary: same normalization, same splitting, fewer pieces."""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from mailweir.models.training.e5 import Own, Pieces
from mailweir.schemas.errors import InputError

FAMILIES = ("Unigram", "WordPiece", "BPE")
NEVER = -1000.0  # score of the special pieces: text that spells "</s>" must not become the end mark

_MARKS = {"begin": ("cls", "bos"), "end": ("sep", "eos"), "padding": ("pad",), "unknown": ("unk",)}


def read_pieces(tokenizer: Any, folder: Path) -> Pieces:
    """Pieces and rules of a fast tokenizer of transformers, which came from ``folder``.

    Raises:
        InputError: it is of another family, has no mark for begin, end, padding or unknown, or its ids have gaps.
    """
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    family = state["model"]["type"]
    if family not in FAMILIES:
        raise InputError(f"{folder}: tokenizer of the family {family}: take one of {', '.join(FAMILIES)}")
    texts = {place: text for text, place in tokenizer.get_vocab().items()}
    if sorted(texts) != list(range(len(texts))):
        raise InputError(f"{folder}: the ids of its tokenizer have gaps or come twice: save it again")
    return Pieces(
        tuple(texts[place] for place in range(len(texts))),
        _scores(state["model"], len(texts)),
        **{name: _mark(tokenizer, folder, name) for name in _MARKS},
        normalization={},
        own=Own(family, json.dumps(state)),
    )


def spelled(pieces: Pieces, own: Own) -> Tokenizer:
    """The tokenizer of ``own`` over ``pieces``, ids as in ``pieces``."""
    state = json.loads(own.form)
    places = {text: place for place, text in enumerate(pieces.texts)}
    if own.family == "Unigram":
        special = {pieces.begin, pieces.end, pieces.padding, pieces.unknown}
        scored = enumerate(zip(pieces.texts, pieces.scores, strict=True))
        vocabulary: Any = [[text, NEVER if place in special else score] for place, (text, score) in scored]
        state["model"] |= {"vocab": vocabulary, "unk_id": pieces.unknown}
    else:
        state["model"]["vocab"] = places
    # Without added tokens: a mail that spells "[SEP]" is text, and the marks come from the template alone.
    state |= {"added_tokens": [], "truncation": None, "padding": None, "post_processor": _template(pieces, state)}
    return Tokenizer.from_str(json.dumps(state))


def _scores(model: Any, count: int) -> tuple[float, ...]:
    """Log probabilities, or, where the family has none, the place: vocabularies are sorted by frequency."""
    if model["type"] != "Unigram":
        return tuple(-float(place) for place in range(count))
    scores = [float(score) for _, score in model["vocab"]]
    return (*scores, *([NEVER] * (count - len(scores))))


def _mark(tokenizer: Any, folder: Path, name: str) -> int:
    for key in _MARKS[name]:
        found = getattr(tokenizer, f"{key}_token_id")
        if found is not None:
            return int(found)
    wanted = " or ".join(f"{key}_token" for key in _MARKS[name])
    raise InputError(f"{folder}: its tokenizer has no mark for {name}: set {wanted} in its tokenizer_config.json")


def _template(pieces: Pieces, state: Any) -> Any:
    begin, end = (pieces.texts[place] for place in (pieces.begin, pieces.end))
    ids = {begin: pieces.begin, end: pieces.end}
    single = [
        {"SpecialToken": {"id": begin, "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": end, "type_id": 0}},
    ]
    special = {text: {"id": text, "ids": [place], "tokens": [text]} for text, place in ids.items()}
    template = {"type": "TemplateProcessing", "single": single, "pair": [*single, *_SECOND], "special_tokens": special}
    if not _by_bytes(state):
        return template
    # trims the blank that a byte-level piece begins with off its place in the text
    trim = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    return {"type": "Sequence", "processors": [trim, template]}


def _by_bytes(state: Any) -> bool:
    return '"ByteLevel"' in json.dumps(state["pre_tokenizer"])


_SECOND = [{"Sequence": {"id": "B", "type_id": 0}}]
