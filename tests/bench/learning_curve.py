"""What asking by choice is worth: `python tests/bench/learning_curve.py [SEEDS] [--start N] [--table FILE] [--picture FILE]`. A report, not a test.

A linear stand-in of the model is fitted on the mail of a few authors; the others' mail comes as a stream of decisions, and people
answer what the review agent's own selection asks them, or as many drawn by lot. After each round the model is fitted anew on all
answers so far, which also changes what is asked next. Macro-F1, mean of five heads, on the validation authors; another seed is other authors at the start
and another order. Intervals are those of the seeds (95 %, Student).
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import numpy as np
from crowd import ONE
from poison import mean_f1, tallies
from scipy.sparse import csr_matrix
from scipy.stats import t as student
from sklearn.linear_model import LogisticRegression

from mailweir.models.runtime.policy import decide_head
from mailweir.models.training.admission.linear import word_table
from mailweir.models.training.corpus import TEST_AUTHORS, VALIDATION_AUTHORS, MailRow, load_mails
from mailweir.models.training.prepare import row_input
from mailweir.schemas.events import Coordinates, Decision, ModelRef, ReviewAsked, TaxonomyRef
from mailweir.schemas.ids import digest
from mailweir.schemas.manifest import HeadSpec
from mailweir.services.review.pace import Limits
from mailweir.services.review.questions import Questions
from mailweir.services.review.select import Selector
from mailweir.services.review.sketch import Sketch, sketch_of

ASKED = (0, 50, 100, 200, 400, 800)
BATCH = 32
MORNING = datetime(2026, 3, 2, tzinfo=UTC)
Answers = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Mails:
    """The mail of the fit authors, then that of the validation authors; the table has their rows in this order."""

    rows: list[MailRow]
    validation: list[MailRow]
    table: csr_matrix
    sketches: list[Sketch]

    def answers(self, taught: Sequence[int], asked: Sequence[int]) -> Answers:
        """Of a model fitted on these rows to those."""
        found = {}
        for head, labels in ONE.items():
            told = [(row, label) for row in taught if (label := self.rows[row].label(head))]
            rows, right = [row for row, _ in told], [labels.index(label) for _, label in told]
            model = LogisticRegression(C=10, class_weight="balanced", max_iter=100, tol=1e-3)
            told_words = np.unique(
                self.table[rows].indices
            )  # what none of them says has no weight: a third of the time
            model.fit(self.table[rows][:, told_words], right)
            found[head] = np.zeros((len(asked), len(labels)))
            found[head][:, model.classes_] = model.predict_proba(self.table[list(asked)][:, told_words])
        return found

    def f1(self, taught: Sequence[int]) -> float:
        """On the validation authors."""
        count = len(self.validation)
        answers = self.answers(taught, range(len(self.rows), len(self.rows) + count))
        return float(mean_f1(tallies(self.validation, answers, 0), np.ones((1, count)))[0])


def mails() -> Mails:
    """Of the corpus."""
    every = load_mails()
    rows = [row for row in every if row.author not in {*VALIDATION_AUTHORS, *TEST_AUTHORS}]
    validation = [row for row in every if row.author in VALIDATION_AUTHORS]
    texts = [row_input(row).text for row in (*rows, *validation)]
    return Mails(rows, validation, word_table(texts), [sketch_of(text) for text in texts[: len(rows)]])


def split(given: Mails, seed: int, least: int) -> tuple[list[int], list[int]]:
    """Rows of the authors that the first model knows, so many or more, and those of the others in the order in which they come."""
    draw = random.Random(seed)
    authors = sorted({row.author for row in given.rows})
    draw.shuffle(authors)
    known: set[str] = set()
    while sum(row.author in known for row in given.rows) < least:
        known.add(authors.pop())
    start = [number for number, row in enumerate(given.rows) if row.author in known]
    pool = [number for number, row in enumerate(given.rows) if row.author not in known]
    draw.shuffle(pool)
    return start, pool


def decided(given: Mails, row: int, number: int, answers: Answers) -> Decision:
    """As classify would say it."""
    heads = {
        head: decide_head(answers[head][number], HeadSpec(labels=labels, temperature=1.0, threshold=0.5))
        for head, labels in ONE.items()
    }
    unsure = any(head.abstained for head in heads.values())
    return Decision(
        decision_id=digest("decision", str(row)),
        email_id=digest("mail", str(row)),
        source=Coordinates(topic="mail.parsed", partition=0, offset=row),
        model=ModelRef(name="email", version="0"),
        taxonomy=TaxonomyRef(name="email", version=1),
        tier="linear",
        heads=heads,
        language=given.rows[row].language,
        needs_review=unsure,
        review_cause="abstained" if unsure else None,
        decided_at=MORNING,
    )


Choose = Callable[[Mails, Sequence[int], Sequence[int], int, int], list[int]]
"""(mails, rows taught, rows of the pool, how many, round) → rows that people are asked about."""


def by_lot(_given: Mails, _taught: Sequence[int], pool: Sequence[int], count: int, _round: int) -> list[int]:
    """The pool is in random order."""
    return list(pool[:count])


class BySelection:
    """The review agent's own code, on days of which each shows the whole pool once."""

    def __init__(self, random_share: float, diverse_share: float) -> None:
        self._shares = random_share, diverse_share
        self._questions = Questions()

    def __call__(self, given: Mails, taught: Sequence[int], pool: Sequence[int], count: int, number: int) -> list[int]:
        """As many as are wanted; what a day leaves of its budget the next one asks."""
        answers = given.answers(taught, pool)
        stream = [decided(given, row, place, answers) for place, row in enumerate(pool)]
        chosen: list[int] = []
        selector = Selector(Limits(count, *self._shares))
        for day in range(5):
            start = MORNING + timedelta(days=10 * number + day)
            chosen += [question.source.offset for question in self._day(given, selector, stream, start)]
            if len(chosen) >= count:
                break
        return chosen[:count]

    def _day(
        self, given: Mails, selector: Selector, stream: Sequence[Decision], start: datetime
    ) -> Iterator[ReviewAsked]:
        for first in range(0, len(stream), BATCH):
            now = start + timedelta(days=first / len(stream))
            part = [(one, one.source) for one in stream[first : first + BATCH] if one.source]
            found = selector.candidates(part, self._questions, now)
            sketches = {one.mail: given.sketches[one.mail.offset] for one in found}
            yield from selector.choose(found, sketches, self._questions, now)


ARMS: Mapping[str, Callable[[], Choose]] = {
    "by lot": lambda: by_lot,
    "selection": lambda: BySelection(0.2, 0.2),
    "uncertain alone": lambda: BySelection(0.0, 0.0),
}


def curve(given: Mails, choose: Choose, seed: int, least: int) -> list[float]:
    """F1 at every number of answers."""
    start, pool = split(given, seed, least)
    taught, scores = list(start), []
    for number, (before, now) in enumerate(zip((0, *ASKED), ASKED, strict=False)):
        if now > before:
            asked = choose(given, taught, pool, now - before, number)
            taught += asked
            left = set(pool) - set(asked)
            pool = [row for row in pool if row in left]
        scores.append(given.f1(taught))
    return scores


def interval(values: np.ndarray) -> str:
    """Mean and its 95 % interval over the seeds."""
    mean = float(values.mean())
    if len(values) == 1:
        return f"{mean:+.4f}"
    half = float(student.ppf(0.975, len(values) - 1)) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return f"{mean:+.4f} [{mean - half:+.4f} {mean + half:+.4f}]"


def table(found: Mapping[str, np.ndarray]) -> str:
    """Answers, F1 of each arm, and what each gains over the lot."""
    names = [name for name in found if name != "by lot"]
    lines = ["| answers | " + " | ".join(found) + " | " + " | ".join(f"{name} over lot" for name in names) + " |"]
    lines.append("|" + "---|" * (1 + len(found) + len(names)))
    for place, count in enumerate(ASKED):
        scores = [f"{values[:, place].mean():.4f}" for values in found.values()]
        gains = [interval(found[name][:, place] - found["by lot"][:, place]) for name in names]
        lines.append("| " + " | ".join([str(count), *scores, *gains]) + " |")
    return "\n".join(lines)


def draw(found: Mapping[str, np.ndarray], path: Path) -> None:
    """The curves, each with the range of its seeds."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5))
    for name, values in found.items():
        axes.plot(ASKED, values.mean(axis=0), marker="o", label=name)
        axes.fill_between(ASKED, values.min(axis=0), values.max(axis=0), alpha=0.15)
    axes.set(xlabel="answers of people", ylabel="macro-F1, mean of five heads", title="Asked by choice and by lot")
    axes.legend()
    figure.savefig(path, dpi=150, bbox_inches="tight")


def main() -> None:
    """All arms for each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", type=int, nargs="?", default=5)
    parser.add_argument("--start", type=int, default=1_500, help="mails that the first model knows, of whole authors")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--picture", type=Path)
    chosen = parser.parse_args()
    given, found = mails(), {name: [] for name in ARMS}
    print(f"mails: {len(given.rows):,} of fit authors, {len(given.validation)} of validation authors", flush=True)
    for seed in range(chosen.seeds):
        for name, arm in ARMS.items():
            began = perf_counter()
            found[name].append(curve(given, arm(), seed, chosen.start))
            told = " ".join(f"{score:.4f}" for score in found[name][-1])
            print(f"seed {seed} {name:<16} {told}  {perf_counter() - began:.0f} s", flush=True)
    curves = {name: np.array(values) for name, values in found.items()}
    print(table(curves))
    if chosen.table:
        chosen.table.write_text(table(curves) + "\n", encoding="utf-8")
    if chosen.picture:
        draw(curves, chosen.picture)


if __name__ == "__main__":
    main()
