"""Spam across sources: `python tests/bench/spam_sources.py DIR`, or with `--e5` also the untouched encoder. A report, not a test.

DIR holds the public collections, `NAME.jsonl.zst` or `NAME.jsonl`. Each source in turn is measured by what was fitted on the others:
word counts, token vectors of the shipped bundle, and both together, under a linear model. Every source holds both classes, and each
class of each source weighs the same, so that none is a class. Below, the shipped bundle as it is. It has seen other mails of every
source, and its vectors with it: those of the untouched encoder (`--e5`) have not. Mails that it was fitted on are left out of all tests.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from mailweir.models.export.encoder import POOLED
from mailweir.models.runtime import Bundle, shipped_bundle
from mailweir.models.runtime.bundle import MODEL, TOKENIZER
from mailweir.models.runtime.graph import Graph
from mailweir.models.text.model_input import ModelInput
from mailweir.models.text.tokens import MailTokenizer
from mailweir.models.training.e5 import read_base
from mailweir.models.training.features import features
from mailweir.models.training.public import load_public
from mailweir.models.training.public.collection import read_collection
from mailweir.models.training.public.labelled import read_annotations
from mailweir.models.training.vocabulary import build_tokenizer, prune, prune_encoder

SOURCES = ("spamassassin", "enron_spam", "lingspam", "turkish_spam")
MOST = 500  # mails of one class of one source, unless asked otherwise
FEWEST_WORDS = 5
RESAMPLES = 1_000
SEED = 7  # of the shipped bundle's draw, too
WORDS, VECTORS = (
    10.0,
    0.003,
)  # C of the linear models, chosen among 1, 10 and .0003, .003, .03 on their mean over the sources
SHARE = 0.03  # by which vectors are scaled beside word counts

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Table = NDArray[np.float32] | csr_matrix


@dataclass(frozen=True)
class Mails:
    """What is measured on."""

    inputs: list[ModelInput]
    source: NDArray[np.str_]
    spam: Flags
    known: Flags  # the shipped bundle was fitted on it

    def weights(self, rows: Flags) -> Floats:
        """Of `rows`: the same for each class of each source together."""
        keys = list(zip(self.source[rows], self.spam[rows], strict=True))
        count = Counter(keys)
        return np.array([len(keys) / len(count) / count[key] for key in keys])


def read(folder: Path, most: int) -> Mails:
    """A draw of each source, `most` mails of a class: no mail twice, none of a few words."""
    labelled = {(one.source, one.id) for one in read_annotations()}
    fitted = {row.given.text for row in load_public(folder, SEED)}
    found = [
        (name, given, spam, (name, row_id) in labelled or given.text in fitted)
        for name in SOURCES
        for row_id, given, spam in draw(folder, name, most)
    ]
    names, inputs, spam, known = zip(*found, strict=True)
    return Mails(list(inputs), np.array(names), np.array(spam), np.array(known))


def draw(folder: Path, name: str, most: int) -> Iterator[tuple[str, ModelInput, bool]]:
    """Id, text and class of up to `most` mails of each class."""
    rows, seen = list(read_collection(folder, name)), set[str]()
    left = Counter({True: most, False: most})
    for place in np.random.default_rng(SEED + 1).permutation(len(rows)):
        row, spam = rows[place], rows[place].labels["spam"] == "spam"
        if left[spam] and row.words not in seen and len(row.words.split()) >= FEWEST_WORDS:
            seen.add(row.words)
            left[spam] -= 1
            yield row.id, row.public(name, {}, sender=False).given, spam


def bundle_vectors(inputs: Sequence[ModelInput]) -> NDArray[np.float32]:
    """(mails, hidden): mean token vectors of the shipped bundle."""
    manifest = Bundle.load(shipped_bundle()).manifest
    tokenizer = MailTokenizer.load(shipped_bundle() / TOKENIZER, manifest.input.max_tokens)
    graph = Graph(shipped_bundle() / MODEL, manifest.input.pad_id)
    return graph.table([tokenizer(given).ids for given in inputs], POOLED)


def untouched_vectors(inputs: Sequence[ModelInput]) -> NDArray[np.float32]:
    """(mails, hidden): those of the encoder that the bundle was made from."""
    base = read_base(6)
    vocabulary = prune(base.pieces, (given.text for given in inputs), 55_000)
    tokenizer = MailTokenizer(build_tokenizer(vocabulary.pieces), 256)
    encoder, ids = prune_encoder(base.encoder, vocabulary, 256), [tokenizer(given).ids for given in inputs]
    return features(encoder, None, ids, vocabulary.padding, lambda _: None)


def of_words(mails: Mails, fit: Flags) -> csr_matrix:
    """Counts of words and word pairs, known from the mails of `fit`."""
    texts = np.array([given.text for given in mails.inputs], object)
    counts = TfidfVectorizer(sublinear_tf=True, min_df=2, ngram_range=(1, 2)).fit(texts[fit])
    return csr_matrix(counts.transform(texts))


def of_vectors(vectors: NDArray[np.float32], fit: Flags) -> NDArray[np.float32]:
    """Mean 0 and spread 1 over the mails of `fit`."""
    return np.asarray(StandardScaler().fit(vectors[fit]).transform(vectors), np.float32)


def across(mails: Mails, table: Callable[[Flags], Table], strength: float) -> Iterator[tuple[str, Flags, Floats]]:
    """Per source its tested mails and their scores, by a model of the others."""
    for name in SOURCES:
        fit, test = mails.source != name, (mails.source == name) & ~mails.known
        given = table(fit)
        model = LogisticRegression(C=strength, max_iter=2_000)
        model.fit(given[fit], mails.spam[fit], sample_weight=mails.weights(fit))
        yield name, test, model.decision_function(given[test])


def shipped(mails: Mails) -> tuple[Floats, Flags]:
    """(mails,): log odds of spam, and whether it is the answer."""
    bundle = Bundle.load(shipped_bundle())
    spec = bundle.manifest.heads["category"]
    table = np.stack([scores.heads["category"] for scores in bundle.classify(mails.inputs)])
    spam = table[:, spec.labels.index("spam")]
    return np.log(spam + 1e-9) - np.log(1 - spam + 1e-9), table.argmax(axis=1) == spec.labels.index("spam")


def threshold(scores: Floats, spam: Flags) -> float:
    """The one of the best macro-F1."""
    return float(max(np.quantile(scores, np.linspace(0.01, 0.99, 99)), key=lambda t: macro(spam, scores > t)))


def macro(right: Flags, given: Flags) -> float:
    """Macro-F1 of spam and not."""
    return float(f1_score(right, given, average="macro"))


def say(name: str, source: str, right: Flags, given: Flags, scores: Floats | None = None) -> None:
    """Print one line."""
    random = np.random.default_rng(SEED)
    draws = [random.integers(0, len(right), len(right)) for _ in range(RESAMPLES)]
    low, high = np.quantile([macro(right[rows], given[rows]) for rows in draws], (0.025, 0.975))
    area = "" if scores is None else f"  area {roc_auc_score(right, scores):.3f}"
    caught, alarms = given[right].mean(), given[~right].mean()
    print(f"{name:<44} {source:<13} {len(right):>5} mails  macro-F1 {macro(right, given):.3f} [{low:.3f} {high:.3f}]"
          f"  spam found {caught:.3f}  false alarms {alarms:.3f}{area}")  # fmt: skip


def report_shipped(mails: Mails) -> None:
    """The bundle at its own decision, then where the other sources would put the limit."""
    odds, answer = shipped(mails)
    for name in SOURCES:
        test, others = (mails.source == name) & ~mails.known, mails.source != name
        say("shipped, own decision", name, mails.spam[test], answer[test], odds[test])
        limit = threshold(odds[others], mails.spam[others])
        say("shipped, limit of the others", name, mails.spam[test], odds[test] > limit)


def main() -> None:
    """One line for each model and source."""
    parser = argparse.ArgumentParser(description="Spam across sources")
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the public collections lie")
    parser.add_argument("--e5", action="store_true", help="also vectors of the untouched encoder: minutes more")
    parser.add_argument("--mails", type=int, default=MOST, help="of each class of each source (default %(default)s)")
    options = parser.parse_args()
    mails = read(options.folder, options.mails)
    vectors = {"vectors of the bundle": bundle_vectors(mails.inputs)}
    if options.e5:
        vectors["vectors of the untouched encoder"] = untouched_vectors(mails.inputs)
    models: dict[str, tuple[Callable[[Flags], Table], float]] = {"words": (lambda fit: of_words(mails, fit), WORDS)}
    for name, table in vectors.items():
        models[name] = (lambda fit, table=table: of_vectors(table, fit), VECTORS)
        models[f"words and {name}"] = (
            lambda fit, table=table: hstack([of_words(mails, fit), SHARE * of_vectors(table, fit)]).tocsr(),
            WORDS,
        )
    for name, (made, strength) in models.items():
        for source, test, scores in across(mails, made, strength):
            say(name, source, mails.spam[test], scores > 0, scores)
    report_shipped(mails)


if __name__ == "__main__":
    main()
