"""Rows of public spam collections, which say only whether a mail is spam: an optional addition to the annotated mail.

They are read from where the user keeps them; nothing of them is in the project or in a bundle but what the weights learned.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cramjam
import numpy as np
import orjson

from mailweir.models.text.model_input import ModelInput, compose_fields
from mailweir.models.text.zone import split_zones
from mailweir.schemas.errors import InputError
from mailweir.schemas.taxonomy import installed_taxonomy

SPAM_SOURCES: Mapping[str, tuple[int, int]] = {
    "spamassassin": (160, 240),
    "enron_spam": (160, 200),
    "lingspam": (40, 60),
    "turkish_spam": (90, 110),
    "nazario_phishing": (80, 0),
}
"""Per collection, how many of its spam and of its other mail are taken. No class is one source: phishing has no ham of its own."""

_LONGEST = (
    700  # characters of a body: the beginning shows what a mail is, and these rows are not to cost more than ours
)


@dataclass(frozen=True, slots=True)
class PublicRow:
    """A mail with the labels that are possible per head; a head that is not named is unknown."""

    source: str
    given: ModelInput
    allowed: Mapping[str, tuple[str, ...]]


def load_public(folder: Path, seed: int) -> list[PublicRow]:
    """A draw of each collection, `NAME.jsonl.zst` or `NAME.jsonl`, that lies in `folder`.

    Raises:
        InputError: the folder holds none of them, or a row cannot be read.
    """
    rows = [row for name, wanted in SPAM_SOURCES.items() for row in _draw(folder, name, wanted, seed)]
    if not rows:
        raise InputError(f"{folder} holds none of {', '.join(SPAM_SOURCES)} (.jsonl or .jsonl.zst)", path=str(folder))
    return rows


def _draw(folder: Path, name: str, wanted: tuple[int, int], seed: int) -> Iterator[PublicRow]:
    rows = list(_lines(folder, name))
    order = np.random.default_rng(seed).permutation(len(rows))
    labels = tuple(installed_taxonomy("email", 1).labels("category"))
    allowed = {True: ("spam",), False: tuple(label for label in labels if label != "spam")}
    left = {True: wanted[0], False: wanted[1]}
    for place in order:
        row = rows[place]
        spam = row["labels"].get("spam") not in ("ham", False, "0", None) or name == "nazario_phishing"
        if left[spam]:
            left[spam] -= 1
            body = row["body"][:_LONGEST]
            given = compose_fields(row["subject"] or "", "", "inbox", body, split_zones(body))
            yield PublicRow(name, given, {"category": allowed[spam]})


def _lines(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    plain, packed = folder / f"{name}.jsonl", folder / f"{name}.jsonl.zst"
    if plain.is_file():
        raw = plain.read_bytes()
    elif packed.is_file():
        raw = bytes(cramjam.zstd.decompress(packed.read_bytes()))
    else:
        return
    for number, line in enumerate(io.BytesIO(raw), 1):
        try:
            yield orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise InputError(f"{name}:{number}: no JSON object: {error}", file=name, line=number) from error
