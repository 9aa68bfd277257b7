"""What Enron's people did with their mail: `python tests/bench/enron_actions.py DIR [--mails N]`. A report, not a test.

DIR holds the public collections. The shipped bundle's action is compared with what owners did whose mail nobody was fitted on (replied,
forwarded, filed, deleted), beside always the commonest, the subject's prefix as a rule (RE and FW: a reply, FW: forwarded), and words under a
linear model fitted on colleagues' mail. Each with the text as the collection has it and with the prefix taken off, since a third of what
was answered begins with RE. Intervals resample the owners: mails of one person are alike.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import Pipeline, make_pipeline

from mailweir.models.runtime import Bundle, shipped_bundle
from mailweir.models.training.public.actions import ACTIONS, ACTIONS_HELD_OUT, without_prefix
from mailweir.models.training.public.collection import CollectionRow, read_collection

DONE = ("archive", "delete", "forward", "reply")
SEED, RESAMPLES = 7, 500
LEARNED_FROM = 20_000  # mails of colleagues: more gain the linear model nothing
BATCH = 64

Words = NDArray[np.str_]


@dataclass(frozen=True)
class Mails:
    """Mails, what was done with each, and by whom."""

    rows: list[CollectionRow]
    done: Words
    owners: Words


def drawn(folder: Path, name: str, most: int) -> Mails:
    """So many mails of a collection, as frequent as they are there."""
    rows = [row for row in read_collection(folder, name) if row.labels.get("action") in DONE and row.user]
    places = np.random.default_rng(SEED).permutation(len(rows))[:most]
    chosen = [rows[place] for place in places]
    done = np.array([str(row.labels["action"]) for row in chosen])
    return Mails(chosen, done, np.array([str(row.user) for row in chosen]))


def decided(bundle: Bundle, rows: Sequence[CollectionRow]) -> Words:
    """The bundle's action, of the four that owners can be seen to take."""
    labels = bundle.manifest.heads["action"].labels
    inputs = [row.public("enron_actions", {}).given for row in rows]
    found = [
        scores for start in range(0, len(inputs), BATCH) for scores in bundle.classify(inputs[start : start + BATCH])
    ]
    names = [labels[int(np.argmax(scores.heads["action"]))] for scores in found]
    return np.array(["reply" if name.startswith("reply") else name for name in names])


def linear(rows: Sequence[CollectionRow], done: Words) -> Pipeline:
    """Words and pairs of words, each action weighing the same."""
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=3, sublinear_tf=True, max_features=100_000)
    model = make_pipeline(words, LogisticRegression(C=3, max_iter=300, class_weight="balanced"))
    return model.fit([row.words for row in rows], done)


def by_prefix(rows: Sequence[CollectionRow], usual: str) -> Words:
    """What the subject's prefix says; `usual` where there is none."""

    def told(row: CollectionRow) -> str:
        word = (row.words.split() or [""])[0]
        return {"re": "reply", "fw": "forward", "fwd": "forward"}.get(word, usual)

    return np.array([told(row) for row in rows])


def macro(mails: Mails, answers: Words) -> tuple[float, float, float]:
    """Macro-F1 of the four actions, and its 95 % interval over owners."""

    def score(places: NDArray[np.int64]) -> float:
        return float(f1_score(mails.done[places], answers[places], labels=DONE, average="macro", zero_division=0))

    draw, groups = np.random.default_rng(SEED), [np.flatnonzero(mails.owners == one) for one in np.unique(mails.owners)]
    found = [
        score(np.concatenate([groups[at] for at in draw.integers(len(groups), size=len(groups))]))
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(found, [2.5, 97.5])
    return score(np.arange(len(answers))), float(low), float(high)


def report(mails: Mails, ways: dict[str, Callable[[Sequence[CollectionRow]], Words]]) -> None:
    """A line per way and form of the text."""
    plain = [without_prefix(row) for row in mails.rows]
    for form, rows in (("as it is", mails.rows), ("prefix off", plain)):
        for name, way in ways.items():
            answers = way(rows)
            value, low, high = macro(mails, answers)
            share = float((answers == mails.done).mean())
            print(f"{form:<11}{name:<22}{value:6.3f} [{low:.3f} {high:.3f}]  accuracy {share:.3f}", flush=True)


def main() -> None:
    """Draw, fit the linear model, ask all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mails", type=int, default=1_500)
    given = parser.parse_args()
    mails, colleagues = (
        drawn(given.folder, *one) for one in ((ACTIONS_HELD_OUT, given.mails), (ACTIONS, LEARNED_FROM))
    )
    if not len(mails.rows) or not len(colleagues.rows):
        raise SystemExit(f"{given.folder} holds no {ACTIONS} and {ACTIONS_HELD_OUT}")
    names, counts = np.unique(mails.done, return_counts=True)
    usual, bundle = str(names[counts.argmax()]), Bundle.load(shipped_bundle())
    told = ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True))
    print(
        f"{len(mails.rows)} mails of {len(np.unique(mails.owners))} owners: {told}; bundle {bundle.manifest.model.version}"
    )
    fitted = {
        "as it is": linear(colleagues.rows, colleagues.done),
        "prefix off": linear([without_prefix(row) for row in colleagues.rows], colleagues.done),
    }
    ways: dict[str, Callable[[Sequence[CollectionRow]], Words]] = {
        f"always {usual}": lambda rows: np.full(len(rows), usual),
        "the prefix": lambda rows: by_prefix(rows, usual),
        **{f"words, fitted {form}": _asked(model) for form, model in fitted.items()},
        "the bundle": lambda rows: decided(bundle, rows),
    }
    report(mails, ways)


def _asked(model: Pipeline) -> Callable[[Sequence[CollectionRow]], Words]:
    return lambda rows: np.asarray(model.predict([row.words for row in rows]))


if __name__ == "__main__":
    main()
