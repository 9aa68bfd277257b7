"""What hostile corrections do to a linear stand-in of the model: `python tests/bench/poison.py [SEEDS]`. A report, not a test.

A model fitted on some authors decides the mail of six others; a hundred people correct it, none, one or ten of them hostile.
Their words go through admission, a new model is fitted on the corpus and what was admitted, and the gate compares the two.
Macro-F1 is the mean of five heads, with its paired bootstrap interval, on the validation authors, whom admission also asks, and
on the test authors, whom nobody asks. What comes without admission is shown for the first seed. At the end: every crowd over
all seeds, the change from the honest crowd of the same seed, on both groups of authors together.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from crowd import ONE, TAXONOMY, Attack, Word, crowd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from mailweir.models.evaluation import Answer, Example
from mailweir.models.evaluation.tally import Estimate, Tally, estimated, resamples
from mailweir.models.runtime import Scores, shipped_bundle
from mailweir.models.runtime.integrity import read_manifest
from mailweir.models.training.admission import Admission, admit
from mailweir.models.training.admission.claims import Claim, claims_of, last_words
from mailweir.models.training.admission.linear import word_table
from mailweir.models.training.corpus import TEST_AUTHORS, VALIDATION_AUTHORS, MailRow, load_mails
from mailweir.models.training.gate import Neighbours, Sitting, Verdict, judge
from mailweir.models.training.prepare import row_input
from mailweir.schemas.ids import digest
from mailweir.schemas.manifest import HeadSpec

LATER = ("alba", "liam", "nuri", "xena", "yusuf", "zeynep")  # their mail comes after the first model was fitted
Table = NDArray[np.float64]
Answers = Mapping[str, Table]  # by head, (held-out mails, labels)


@dataclass(frozen=True, slots=True)
class Mails:
    """Whose mail is used for what; the table has their rows in this order."""

    corpus: list[MailRow]
    later: list[MailRow]
    validation: list[MailRow]
    test: list[MailRow]
    table: csr_matrix
    start: dict[str, LogisticRegression]  # the first model's heads: every later fit begins there, which halves its time

    @property
    def first_asked(self) -> int:
        """Row of the first held-out mail."""
        return len(self.corpus) + len(self.later)

    def answers(self, claims: Sequence[Claim], asked_from: int | None = None) -> Answers:
        """Of a model fitted on the corpus and the claims, to the mails from that row on."""
        places = {digest("mail", mail.id): number for number, mail in enumerate(self.later, len(self.corpus))}
        asked = self.table[self.first_asked if asked_from is None else asked_from :]
        found = {}
        for head, labels in ONE.items():
            told = [(row, mail.label(head)) for row, mail in enumerate(self.corpus)]
            told += [(places[claim.row.email_id], str(claim.value)) for claim in claims if claim.head == head]
            rows, right = zip(*((row, labels.index(label)) for row, label in told if label), strict=True)
            # converges: stochastic descent moves by a point of F1 when a single row changes
            model = LogisticRegression(C=10, class_weight="balanced", max_iter=100, tol=1e-3, warm_start=True)
            if first := self.start.get(head):
                model.coef_, model.intercept_ = first.coef_.copy(), first.intercept_.copy()
            found[head] = model.fit(self.table[list(rows)], right).predict_proba(asked)
            self.start.setdefault(head, model)
        return found


def mails() -> Mails:
    """Of the corpus."""
    rows = load_mails()
    later = [row for row in rows if row.author in LATER]
    validation = [row for row in rows if row.author in VALIDATION_AUTHORS]
    test = [row for row in rows if row.author in TEST_AUTHORS]
    used = {row.id for row in (*later, *validation, *test)}
    corpus = [row for row in rows if row.id not in used]
    table = word_table([row_input(row).text for row in (*corpus, *later, *validation, *test)])
    return Mails(corpus, later, validation, test, table, {})


def tallies(asked: Sequence[MailRow], found: Answers, offset: int) -> dict[str, Tally]:
    """By head; a mail that does not know the head has no counts."""
    made = {}
    for head, labels in ONE.items():
        table = found[head][offset : offset + len(asked)]
        right = np.array([[float(label == mail.label(head)) for label in labels] for mail in asked])
        given = np.eye(len(labels))[table.argmax(axis=1)] * right.any(axis=1)[:, None]
        made[head] = Tally(labels, right * given, right, given)
    return made


def mean_f1(found: Mapping[str, Tally], weights: Table) -> Table:
    """(resamples,) macro-F1, mean of the heads."""
    scores = []
    for tally in found.values():
        hits, right, given = (weights @ table for table in (tally.hits, tally.right, tally.given))
        f1 = np.divide(2 * hits, right + given, out=np.zeros_like(hits), where=right + given > 0)
        scores.append(np.where(right > 0, f1, 0).sum(axis=1) / (right > 0).sum(axis=1))
    return np.asarray(np.mean(scores, axis=0))


def change(before: Mapping[str, Tally], after: Mapping[str, Tally]) -> Estimate:
    rows = len(next(iter(before.values())).hits)
    once = np.ones((1, rows))
    moved = [mean_f1(after, weights) - mean_f1(before, weights) for weights in resamples(rows)]
    return estimated(float((mean_f1(after, once) - mean_f1(before, once))[0]), np.concatenate(moved))


def gated(given: Mails, before: Answers, after: Answers) -> Verdict:
    """The gate on the test authors; everything but quality is the same."""
    heads = {head: HeadSpec(labels=labels, temperature=1.0, threshold=0.5) for head, labels in ONE.items()}
    manifest = read_manifest(shipped_bundle()).model_copy(
        update={"heads": heads, "quantization": "fp32", "data": {}, "metrics": {}}
    )
    still = Neighbours(1, 0, 0.0)
    sides = (
        Sitting(manifest, {"holdout": list(_answers(given, found))}, still, [1.0] * len(given.test))
        for found in (after, before)
    )
    return judge(*sides)


def _answers(given: Mails, found: Answers) -> Iterator[Answer]:
    for number, mail in enumerate(given.test, len(given.validation)):
        labels = {head: mail.label(head) for head in ONE}
        example = Example(mail.id, mail.language, mail.author, mail.subject, "", "", mail.body, labels, None)
        heads = {head: table[number] for head, table in found.items()}
        scores = Scores(heads, tokens=1, truncated=False, empty=False, tokenize_ms=0, model_ms=0)
        yield Answer(example, scores, (), 0, 0, 1)


@dataclass(frozen=True, slots=True)
class Case:
    """A crowd."""

    name: str
    attack: Attack | None
    share: float


CASES = (
    Case("honest", None, 0.0),
    Case("1 % targeted", "targeted", 0.01),
    Case("10 % targeted", "targeted", 0.10),
    Case("1 % random", "random", 0.01),
    Case("10 % random", "random", 0.10),
)


def main(seeds: int) -> None:
    """Every case for each seed, then all seeds together."""
    given = mails()
    count = len(given.later)
    first = given.answers([], len(given.corpus))
    decided = [{head: labels[int(first[head][n].argmax())] for head, labels in ONE.items()} for n in range(count)]
    before = {head: table[count:] for head, table in first.items()}
    sizes = f"corpus {len(given.corpus):,}, later {count:,}, validation {len(given.validation)}, test {len(given.test)}"
    print(f"mails: {sizes}", flush=True)
    moved: dict[str, list[Estimate]] = {case.name: [] for case in CASES}
    for seed in range(seeds):
        honest: dict[str, Answers] = {}
        for case in CASES:
            start = perf_counter()
            told = crowd(given.later, decided, case.attack, case.share, seed)
            moved[case.name].append(
                report(given, before, Heard(f"{case.name}, seed {seed}", *told), honest, bare=not seed)
            )
            print(f"  {perf_counter() - start:.0f} s", flush=True)
    for name, found in moved.items():
        values = [one.value for one in found]
        ends = f"lowest end {min(one.low for one in found):+.4f}, highest {max(one.high for one in found):+.4f}"
        print(
            f"{name}: mean {np.mean(values):+.4f}, from {min(values):+.4f} to {max(values):+.4f} over {seeds} seeds; {ends}"
        )


@dataclass(frozen=True, slots=True)
class Heard:
    """What a crowd said."""

    name: str
    words: list[Word]
    bad: set[tuple[str, str]]  # hostile: feedback id and head


def report(given: Mails, before: Answers, heard: Heard, honest: dict[str, Answers], *, bare: bool) -> Estimate:
    """One crowd: what was admitted, and what it does; without admission beside it. The change from the honest crowd."""
    admission = admit({"shard": heard.words}, given.corpus, given.validation)
    raw = claims_of(last_words({"shard": heard.words})[0], TAXONOMY).claims
    print(f"\n{heard.name}: {len(heard.words):,} words, {len(raw):,} labels, {len(heard.bad):,} of them hostile")
    _counts(admission, raw, heard.bad)
    both = [*given.validation, *given.test]
    for name, claims in (("admission", admission.claims), ("nothing", raw))[: 1 + bare]:
        after = given.answers(claims)
        honest.setdefault(name, after)
        for part, rows, offset in (
            ("validation", given.validation, 0),
            ("test", given.test, len(given.validation)),
            ("both", both, 0),
        ):
            base, now, reference = (tallies(rows, found, offset) for found in (before, after, honest[name]))
            f1 = float(mean_f1(now, np.ones((1, len(rows))))[0])
            told = (
                f"from the first model {_say(change(base, now))}, from an honest crowd {_say(change(reference, now))}"
            )
            print(f"  behind {name:<10}{part:<11} F1 {f1:.4f}, {told}")
        verdict = gated(given, before, after)
        said = "passed" if verdict.passed else f"refused for {len(verdict.reasons)} reasons: {verdict.reasons[0]}"
        print(f"  behind {name:<10}gate {said}", flush=True)
        if name == "admission":
            moved = change(*(tallies(both, found, 0) for found in (honest[name], after)))
    return moved


def _counts(admission: Admission, raw: Sequence[Claim], bad: set[tuple[str, str]]) -> None:
    """What was said twice counts as taken where it was taken once."""
    kept = {(*claim.key, claim.value) for claim in admission.claims}
    hostile = [claim for claim in raw if (claim.row.feedback_id, claim.head) in bad]
    honest = [claim for claim in raw if (claim.row.feedback_id, claim.head) not in bad]
    parts = {"hostile": hostile, "honest": honest, "honest corrections": [c for c in honest if c.value != c.decided]}
    told = (f"{sum((*c.key, c.value) in kept for c in part):,} of {len(part):,} {name}" for name, part in parts.items())
    print(f"  admitted {', '.join(told)}")
    refused = Counter(r.cause for r in admission.report.refusals if (r.feedback_id, r.head) in bad)
    print(f"  hostile refused {dict(refused.most_common())}")
    print(f"  refused {admission.report.causes}; harmed {[h.head for h in admission.report.harms if h.harmful]}")


def _say(found: Estimate) -> str:
    return f"{found.value:+.4f} [{found.low:+.4f} {found.high:+.4f}]"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
