"""How often the gate refuses a candidate that is as good as the champion, and how often it sees a planted loss.

`python tests/bench/gate_noise.py [PAIRS]`. A report, not a test.

Champion and candidate are linear stand-ins of the model, each fitted on its own bootstrap resample of all but the test
authors' mail: as models they are equals, on any rows they differ. The gate judges them on the test authors. For a planted loss
so many of the candidate's right answers in one slice of head category are made wrong; only that head is judged then.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from crowd import ONE
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.stats import beta

from mailweir.models.evaluation import Answer, Example
from mailweir.models.runtime import Scores, shipped_bundle
from mailweir.models.runtime.integrity import read_manifest
from mailweir.models.training.admission.linear import Taught, fit_predict, word_table
from mailweir.models.training.corpus import TEST_AUTHORS, MailRow, load_mails
from mailweir.models.training.gate import Neighbours, Sitting, Verdict, judge
from mailweir.models.training.gate.slices import slices
from mailweir.models.training.prepare import row_input
from mailweir.schemas.manifest import HeadSpec

LOSSES = (0.05, 0.10, 0.20)
SLICES = ("language tr", "language tr, category work", "category spam")
Table = NDArray[np.float64]
Answers = Mapping[str, Table]  # by head, (test mails, labels)


def fitted(table: csr_matrix, rows: Sequence[MailRow], asked: int, rng: np.random.Generator) -> Answers:
    """What a model of a resample of the first rows answers to the last `asked`."""
    drawn = np.bincount(rng.integers(0, len(rows), len(rows)), minlength=len(rows)).astype(float)
    places = np.arange(len(rows), len(rows) + asked)
    found = {}
    for head, labels in ONE.items():
        told = np.array(
            [(n, labels.index(label)) for n, row in enumerate(rows) if (label := row.label(head)) and drawn[n]]
        )
        found[head] = fit_predict(table, Taught(told[:, 0], told[:, 1], drawn[told[:, 0]]), places, len(labels))
    return found


def judged(mails: Sequence[MailRow], candidate: Answers, champion: Answers) -> Verdict:
    """On the heads that the candidate answers."""
    heads = {head: HeadSpec(labels=ONE[head], temperature=1.0, threshold=0.5) for head in candidate}
    changes = {"heads": heads, "quantization": "fp32", "data": {}, "metrics": {}}
    manifest = read_manifest(shipped_bundle()).model_copy(update=changes)
    sides = (
        Sitting(
            manifest, {"holdout": list(_answers(mails, found, list(heads)))}, Neighbours(1, 0, 0.0), [1.0] * len(mails)
        )
        for found in (candidate, champion)
    )
    return judge(*sides)


def _answers(mails: Sequence[MailRow], found: Answers, heads: Sequence[str]) -> Iterator[Answer]:
    for number, mail in enumerate(mails):
        scores = {head: found[head][number] for head in heads}
        yield Answer(_example(mail), replace(_SCORES, heads=scores), (), 0, 0, 1)


_SCORES = Scores({}, tokens=1, truncated=False, empty=False, tokenize_ms=0, model_ms=0)


def _example(mail: MailRow) -> Example:
    labels = {head: mail.label(head) for head in ONE}
    return Example(mail.id, mail.language, mail.author, mail.subject, "", "", mail.body, labels, None)


def planted(mails: Sequence[MailRow], given: Table, part: NDArray[np.int64], loss: float, seed: int) -> Table:
    """The table with that share of the slice's rows made wrong, of those that were right."""
    labels, made = ONE["category"], given.copy()
    right = [n for n in part if labels[int(given[n].argmax())] == mails[n].label("category")]
    for number in np.random.default_rng(seed).permutation(right)[: round(loss * len(part))]:
        made[number] = np.roll(given[number], 1)
    return made


def share(hits: int, of: int) -> str:
    """With its exact interval (Clopper and Pearson, 1934)."""
    low = beta.ppf(0.025, hits, of - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, of - hits) if hits < of else 1.0
    return f"{hits} of {of}: {hits / of:.2f} [{low:.2f} {high:.2f}]"


def main(pairs: int) -> None:
    """Equal pairs first, then the same with losses."""
    rows = [row for row in load_mails() if row.author not in TEST_AUTHORS]
    mails = [row for row in load_mails() if row.author in TEST_AUTHORS]
    table = word_table([row_input(row).text for row in (*rows, *mails)])
    parts = {name: part for name, part in slices([_example(mail) for mail in mails]).items() if name in SLICES}
    draw = partial(fitted, table, rows, len(mails))
    equal, causes, missed = 0, Counter[str](), Counter[tuple[str, float]]()
    seen: Counter[tuple[str, float]] = Counter()
    for pair in range(pairs):
        champion, candidate = draw(np.random.default_rng([pair, 0])), draw(np.random.default_rng([pair, 1]))
        verdict = judged(mails, candidate, champion)
        equal += not verdict.passed
        causes.update(
            {
                f"{check.rule}{' of a part' if check.slice not in {None, 'all rows'} else ''}"
                for check in verdict.refusals
            }
        )
        print(f"pair {pair}: {[f'{c.rule} {c.head} {c.slice}' for c in verdict.refusals]}", flush=True)
        for name, part in parts.items():
            for loss in LOSSES:
                worse = planted(mails, candidate["category"], part, loss, pair)
                told = judged(mails, {"category": worse}, {"category": champion["category"]})
                seen[name, loss] += any(check.rule in {"floor", "not_worse"} for check in told.refusals)
                missed[name, loss] += 1
    print(f"\nequals refused {share(equal, pairs)}; by rule {dict(causes)}")
    for name, part in parts.items():
        told = "; ".join(f"{loss:.0%} {share(seen[name, loss], missed[name, loss])}" for loss in LOSSES)
        print(f"{name}, {len(part)} rows, loss seen: {told}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
