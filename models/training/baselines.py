"""What any model has to beat: always the commonest label, and words counted by a linear model."""

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from mailweir.models.training.heads import Mask, Question
from mailweir.models.training.measure import Indices


def majority(question: Question, fitting: Mask) -> Indices:
    """(rows,) the commonest label of the known rows of `fitting`, for every row."""
    commonest = question.answers[fitting & question.known].sum(axis=0).argmax()
    return np.full(len(question.answers), commonest, np.int64)


def word_counts(questions: Sequence[Question], texts: Sequence[str], fitting: Mask) -> dict[str, Indices]:
    """Per head of one, (rows,) what TF-IDF of words and word pairs with a linear model says."""
    vectors = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, max_features=60_000)
    vectors.fit([text for text, used in zip(texts, fitting, strict=True) if used])
    table = vectors.transform(texts)
    given: dict[str, Indices] = {}
    for question in questions:
        used = fitting & question.known
        model = LogisticRegression(C=10, class_weight="balanced", max_iter=200).fit(table[used], question.best[used])
        given[question.name] = np.asarray(model.predict(table), np.int64)
    return given
