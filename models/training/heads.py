"""Linear heads over frozen features and over the pieces of the text: logistic regressions, added.

The two parts fail on different mail. The encoder carries over to authors and kinds of mail that were not seen, the words
are sharper where they were.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from sklearn.linear_model import LogisticRegression

from mailweir.models.export.weights import Floats, LinearHead
from mailweir.models.training.corpus import MailRow
from mailweir.schemas.errors import InputError
from mailweir.schemas.taxonomy import Head

_MISSING = -12.0  # logit of a label that the training rows of a fold do not hold
_ITERATIONS = 200
_LEXICON_C = 3.0  # of 0.3, 1, 3 and 10 the best on held-out authors, for every head within a point
_FEWEST_MAILS = 2  # a piece of one mail alone teaches that mail

Kind = Literal["one", "many"]
Mask = NDArray[np.bool_]
Targets = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Strength:
    """How one head is fitted: scikit-learn's C of its dense part, whether rare labels count more, weight of its words."""

    c: float
    balanced: bool
    words: float = 0.0  # what the lexicon's logits are multiplied by before they are added


@dataclass(frozen=True, slots=True)
class Features:
    """Rows as heads see them."""

    dense: Floats  # (rows, hidden), mean token vectors
    words: csr_matrix  # (rows, pieces seen), count / sqrt(tokens)


@dataclass(frozen=True, slots=True)
class Question:
    """One head with its answers on the rows: (rows, labels) of 0 and 1; unknown rows are masked."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    answers: Targets  # (rows, labels)
    known: Mask  # (rows,)

    @property
    def best(self) -> Targets:
        """Index of the label of a head of one; meaningless where `known` is false."""
        return np.asarray(self.answers.argmax(axis=1), np.int64)

    def only(self, rows: NDArray[np.int64]) -> "Question":
        """The question asked of these rows alone."""
        return replace(self, answers=self.answers[rows], known=self.known[rows])


def ask(name: str, head: Head, rows: Sequence[MailRow]) -> Question:
    """The question of `head` over `rows`.

    Raises:
        InputError: a label has no row, so nothing can be learned about it.
    """
    labels = tuple(head.labels)
    chosen = [_chosen(row, name, head.kind) for row in rows]
    answers = np.array([[label in (c or ()) for label in labels] for c in chosen], np.int64)
    unseen = [label for label, count in zip(labels, answers.sum(axis=0), strict=True) if count == 0]
    if unseen:
        raise InputError(f"no row is labelled {name} = {', '.join(unseen)}: annotate some or drop the label", head=name)
    return Question(name, head.kind, labels, answers, np.array([c is not None for c in chosen]))


def fit_head(question: Question, features: Features, rows: Mask, strength: Strength) -> LinearHead:
    """The head fitted on the known ones of `rows`: both parts on their own, then added."""
    dense = fit_dense(question, features, rows, strength)
    return add(dense, fit_lexicon(question, features, rows, strength), strength.words) if strength.words else dense


def fit_dense(question: Question, features: Features, rows: Mask, strength: Strength) -> LinearHead:
    """A head over the mean token vectors alone."""
    used = rows & question.known
    dense = features.dense[used]
    centre, spread = dense.mean(axis=0), dense.std(axis=0) + 1e-6
    kernel, bias = fit_columns((dense - centre) / spread, question, used, strength)
    lexicon = np.zeros((features.words.shape[1], len(question.labels)), np.float32)
    kernel = np.asarray(kernel / spread[:, None], np.float32)
    centre = np.asarray(centre, np.float32)
    return LinearHead(question.name, question.labels, kernel, bias, centre, lexicon, np.zeros_like(centre))


def fit_lexicon(question: Question, features: Features, rows: Mask, strength: Strength) -> LinearHead:
    """A head over the pieces alone, each weighted by its rarity (inverse document frequency)."""
    return fit_words(question, features.words, features.dense.shape[1], rows, strength)


def fit_words(question: Question, table: csr_matrix, hidden: int, rows: Mask, strength: Strength) -> LinearHead:
    """`fit_lexicon` on (rows, pieces) counts, for an encoder that is `hidden` wide."""
    used = rows & question.known
    words = table[used]
    occurrences = np.asarray((words > 0).sum(axis=0)).ravel()
    rarity = np.where(occurrences >= _FEWEST_MAILS, np.log((1 + words.shape[0]) / (1 + occurrences)) + 1, 0)
    weights, bias = fit_columns(words @ diags(rarity), question, used, Strength(_LEXICON_C, strength.balanced))
    return LinearHead(
        question.name,
        question.labels,
        kernel=np.zeros((hidden, len(question.labels)), np.float32),
        bias=bias,
        centre=np.zeros(hidden, np.float32),
        lexicon=np.asarray(weights * rarity[:, None], np.float32),
        query=np.zeros(hidden, np.float32),
    )


def add(dense: LinearHead, lexical: LinearHead, weight: float) -> LinearHead:
    """One head that says what both say, the lexical one `weight` times."""
    return replace(dense, bias=dense.bias + weight * lexical.bias, lexicon=weight * lexical.lexicon)


def logits(head: LinearHead, features: Features) -> Floats:
    """(rows, labels), as the graph computes them."""
    dense = (features.dense - head.centre) @ head.kernel
    return np.asarray(dense + features.words @ head.lexicon + head.bias, np.float32)


def held_out_logits(fit: Callable[[Mask], LinearHead], score_on: Features, folds: Sequence[Mask]) -> Floats:
    """(rows, labels): each fold's rows scored by a head that `fit` made of the other folds; rows in no fold are NaN."""
    every = np.logical_or.reduce(folds)
    scored: Floats | None = None
    for fold in folds:
        table = logits(fit(every & ~fold), score_on)
        scored = np.full_like(table, np.nan) if scored is None else scored
        scored[fold] = table[fold]
    if scored is None:
        msg = "held-out logits need at least one fold"
        raise ValueError(msg)
    return scored


def word_features(mails: Sequence[NDArray[np.int64]], pieces: int) -> csr_matrix:
    """(rows, pieces): count / sqrt(tokens) of the first `pieces` pieces of the vocabulary."""
    columns = np.concatenate(list(mails))
    rows = np.repeat(np.arange(len(mails)), [len(mail) for mail in mails])
    values = np.repeat([len(mail) ** -0.5 for mail in mails], [len(mail) for mail in mails])
    seen = columns < pieces
    return csr_matrix((values[seen], (rows[seen], columns[seen])), shape=(len(mails), pieces), dtype=np.float32)


def author_folds(authors: Sequence[str], groups: int) -> list[Mask]:
    """Row masks of `groups` groups of whole authors, of about the same size; one author a group if there are fewer."""
    names = np.array(authors)
    sizes = {name: int((names == name).sum()) for name in sorted(set(authors))}
    bins: list[list[str]] = [[] for _ in range(min(groups, len(sizes)))]
    for name in sorted(sizes, key=lambda n: -sizes[n]):
        min(bins, key=lambda members: sum(sizes[m] for m in members)).append(name)
    return [np.isin(names, members) for members in bins]


def _chosen(row: MailRow, name: str, kind: Kind) -> tuple[str, ...] | None:
    if kind == "many":
        return row.chosen(name)
    label = row.label(name)
    return None if label is None else (label,)


def fit_columns(values: Any, question: Question, used: Mask, strength: Strength) -> tuple[Floats, Floats]:
    """Weights (features, labels) and bias (labels,) of a logistic regression on `values`, dense or sparse."""
    fit = _columns_of_one if question.kind == "one" else _columns_of_many
    return fit(values, question.answers[used], strength)


def _columns_of_one(values: Any, answers: Targets, strength: Strength) -> tuple[Floats, Floats]:
    model = _regression(strength).fit(values, answers.argmax(axis=1))
    kernel = np.zeros((values.shape[1], answers.shape[1]))
    bias = np.full(answers.shape[1], _MISSING)
    if len(model.classes_) == 2:  # scikit-learn keeps one column for two labels
        kernel[:, model.classes_] = np.stack([-model.coef_[0] / 2, model.coef_[0] / 2], axis=1)
        bias[model.classes_] = [-model.intercept_[0] / 2, model.intercept_[0] / 2]
    else:
        kernel[:, model.classes_], bias[model.classes_] = model.coef_.T, model.intercept_
    return kernel.astype(np.float32), bias.astype(np.float32)


def _columns_of_many(values: Any, answers: Targets, strength: Strength) -> tuple[Floats, Floats]:
    kernels, biases = zip(*_binary_columns(values, answers, strength), strict=True)
    return np.stack(kernels, axis=1).astype(np.float32), np.array(biases, np.float32)


def _binary_columns(values: Any, answers: Targets, strength: Strength) -> Iterator[tuple[Floats, float]]:
    for column in answers.T:
        if column.min() == column.max():
            yield np.zeros(values.shape[1], np.float32), _MISSING
            continue
        model = _regression(strength).fit(values, column)
        yield model.coef_[0], float(model.intercept_[0])


def _regression(strength: Strength) -> Any:
    weights = "balanced" if strength.balanced else None
    return LogisticRegression(C=strength.c, class_weight=weights, max_iter=_ITERATIONS, tol=1e-3)
