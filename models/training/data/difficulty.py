"""How hard a mail is: what a model that did not see its author loses on it, on average over the heads with one answer."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from mailweir.models.runtime import Bundle
from mailweir.models.training.corpus import MailRow
from mailweir.models.training.heads import Mask, author_folds
from mailweir.models.training.prepare import row_input
from mailweir.schemas.taxonomy import installed_taxonomy

Losses = NDArray[np.float64]

_FOLDS = 4  # groups of authors
_LEAST = 1e-6  # probability: a label that a fold did not hold is very hard, not infinitely
_BATCH = 64


def word_difficulty(rows: Sequence[MailRow]) -> Losses:
    """(rows,) mean cross-entropy of TF-IDF with a linear model, each author scored by the others; 0 where nothing is labelled."""
    texts = [row_input(row).text for row in rows]
    table = TfidfVectorizer(sublinear_tf=True, min_df=2, max_features=30_000).fit_transform(texts)
    folds = author_folds([row.author for row in rows], _FOLDS)
    with threadpool_limits(1):
        return _mean([_head_losses(labels, table, folds) for labels in _labels(rows).values()])


def bundle_difficulty(rows: Sequence[MailRow], folder: Path) -> Losses:
    """(rows,) mean cross-entropy of the bundle in `folder`.

    Raises:
        BundleError: the bundle cannot be used.
    """
    bundle, labels = Bundle.load(folder), _labels(rows)
    places = {head: list(spec.labels) for head, spec in bundle.manifest.heads.items()}
    found = {head: np.full(len(rows), np.nan) for head in labels if head in places}
    for start in range(0, len(rows), _BATCH):
        scores = bundle.classify([row_input(row) for row in rows[start : start + _BATCH]])
        for at, score in enumerate(scores, start):
            for head, losses in found.items():
                label = labels[head][at]
                if label in places[head]:
                    losses[at] = -np.log(max(float(score.heads[head][places[head].index(label)]), _LEAST))
    return _mean(list(found.values()))


def _labels(rows: Sequence[MailRow]) -> dict[str, list[str | None]]:
    heads = installed_taxonomy("email", 1).heads
    return {name: [row.label(name) for row in rows] for name, head in heads.items() if head.kind == "one"}


def _head_losses(labels: Sequence[str | None], table: csr_matrix, folds: Sequence[Mask]) -> Losses:
    """(rows,) of one head; NaN where the label is unknown or no other author has any."""
    losses, known = np.full(len(labels), np.nan), np.array([label is not None for label in labels])
    names = np.array([label or "" for label in labels])
    for fold in folds:
        others, held = known & ~fold, np.flatnonzero(known & fold)
        if len(set(names[others])) > 1:
            model = LogisticRegression(C=10, max_iter=200).fit(table[others], names[others])
            losses[held] = [-np.log(max(p, _LEAST)) for p in _right(model, table[held], names[held])]
    return losses


def _right(model: LogisticRegression, table: csr_matrix, names: NDArray[np.str_]) -> Iterator[float]:
    """Probability of each row's own label."""
    places = {name: at for at, name in enumerate(model.classes_)}
    for row, name in zip(model.predict_proba(table), names, strict=True):
        yield float(row[places[name]]) if name in places else 0.0


def _mean(losses: Sequence[Losses]) -> Losses:
    table = np.stack(losses)
    known = ~np.isnan(table)
    return np.asarray(np.where(known, table, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))
