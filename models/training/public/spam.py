"""Rows of public spam collections, which say only whether a mail is spam."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np

from mailweir.models.training.public.collection import CollectionRow, PublicRow, read_collection
from mailweir.schemas.errors import InputError
from mailweir.schemas.taxonomy import installed_taxonomy

_PHISHING = "nazario_phishing"  # all of it is spam
SPAM_SOURCES: Mapping[str, tuple[int, int]] = {
    "spamassassin": (160, 240),
    "enron_spam": (160, 200),
    "lingspam": (40, 60),
    "turkish_spam": (90, 110),
    _PHISHING: (80, 0),
}
"""Per collection, how many of its spam and of its other mail are taken. No class is one source: phishing has no ham of its own."""


def draw_spam(folder: Path, name: str, labelled: Collection[str], seed: int) -> Iterator[PublicRow]:
    """A draw of the collection `name`, without the ids that are `labelled` for every head already.

    Raises:
        InputError: a mail is labelled neither spam nor ham.
    """
    rows = list(read_collection(folder, name))
    order = np.random.default_rng(seed).permutation(len(rows))
    labels = tuple(installed_taxonomy("email", 1).labels("category"))
    allowed = {True: ("spam",), False: tuple(label for label in labels if label != "spam")}
    left = dict(zip((True, False), SPAM_SOURCES[name], strict=True))
    for place in order:
        row = rows[place]
        spam = _is_spam(row, name)
        if left[spam] and row.id not in labelled:
            left[spam] -= 1
            yield row.public(name, {"category": allowed[spam]}, sender=False)


def _is_spam(row: CollectionRow, name: str) -> bool:
    label = row.labels.get("spam")
    if name != _PHISHING and label not in ("spam", "ham"):
        message = f"{name}: mail {row.id!r} is labelled {label!r}, neither spam nor ham; correct or drop it"
        raise InputError(message, file=name, id=row.id)
    return name == _PHISHING or label == "spam"
