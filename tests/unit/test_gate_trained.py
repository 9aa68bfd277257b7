"""The gate before bundles that were really trained: one slice of a candidate's labels was shuffled."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mailweir.models.training.corpus import MailRow, load_mails
from mailweir.models.training.data.build import write_rows
from mailweir.models.training.gate import Check, Verdict
from mailweir.models.training.gate.run import read_sets, run_gate
from mailweir.models.training.gate.slices import ALL
from mailweir.models.training.tiny import TINY, tiny_base
from mailweir.models.training.train import Given, train_bundle

FITTED = ("fikret", "gonca", "quinn", "rosa", "sam", "ufuk", "vildan")
HELD = frozenset({"alba", "zeynep"})  # tell social mail apart well enough for a floor to bind
LABELS = ("work", "finance", "spam", "travel", "shopping", "newsletter", "personal", "other")
SPOILT = "language tr, category social"


def only_category(row: MailRow) -> MailRow:
    """A mail of which nothing else is known: five heads less to fit, or to judge."""
    kept = {head: value if head == "category" else None for head, value in row.labels.items()}
    return row.model_copy(update={"labels": kept, "marks": None})


def shuffled(row: MailRow, rng: random.Random) -> MailRow:
    """Turkish social mail under any other label; every other mail as it is."""
    if (row.language, row.label("category")) != ("tr", "social"):
        return row
    return row.model_copy(update={"labels": dict(row.labels) | {"category": rng.choice(LABELS)}})


@pytest.fixture(scope="module")
def mails() -> list[MailRow]:
    """What the bundles are fitted on, then what they are asked."""
    return [row for row in load_mails() if row.author in {*FITTED, *HELD}]


@pytest.fixture(scope="module")
def fit(mails: list[MailRow], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A bundle of every so many mails, all heads on a quarter of them."""

    def make(every: int, *, spoil: bool) -> Path:
        rng, out = random.Random(1), tmp_path_factory.mktemp("fitted") / "bundle"
        rows = [row for row in mails if row.author in FITTED][::every] + [row for row in mails if row.author in HELD][
            ::8
        ]
        known = [row if n % 4 == 0 or row.labels["next_actions"] else only_category(row) for n, row in enumerate(rows)]
        told = [shuffled(row, rng) if spoil and row.author in FITTED else row for row in known]
        train_bundle(out, told, replace(TINY, test=HELD), Given(base=tiny_base(rows), quiet=True))
        return out

    return make


@pytest.fixture(scope="module")
def champion(fit: Callable[..., Path]) -> Path:
    """Fitted on every fifth mail."""
    return fit(5, spoil=False)


@pytest.fixture
def judged(mails: list[MailRow], champion: Path, tmp_path: Path) -> Callable[[Path], Verdict]:
    """The verdict on a candidate over the held-out authors."""

    def judge(candidate: Path) -> Verdict:
        write_rows(tmp_path / "held.jsonl", [only_category(row) for row in mails if row.author in HELD])
        return run_gate((candidate, champion), read_sets((candidate, champion), [tmp_path / "held.jsonl"], [])).verdict

    return judge


def answers_refused(verdict: Verdict) -> list[Check]:
    """Without int8 parity, which a bundle of a hundred kilobytes may lack in heads that nobody asks here."""
    return [check for check in verdict.refusals if check.rule != "parity"]


def change(verdict: Verdict, part: str) -> float:
    """Of the head's figure in one slice."""
    [found] = [c.change for c in verdict.checks if (c.rule, c.head, c.slice) == ("not_worse", "category", part)]
    assert found
    return found.value


def test_a_candidate_that_learned_from_more_mail_passes(
    fit: Callable[..., Path], judged: Callable[[Path], Verdict]
) -> None:
    """Twice as many true labels: the gate has nothing against its answers."""
    verdict = judged(fit(2, spoil=False))
    assert answers_refused(verdict) == []
    assert change(verdict, ALL) > 0.02


def test_shuffled_labels_in_one_slice_are_refused_by_its_name_though_the_whole_is_better(
    fit: Callable[..., Path], judged: Callable[[Path], Verdict]
) -> None:
    """The same mail, labels of Turkish social mail at random: floor and comparison of that slice refuse; every reason is about social mail."""
    verdict = judged(fit(2, spoil=True))
    refused = answers_refused(verdict)
    assert change(verdict, ALL) > 0
    assert {check.rule for check in refused if check.slice == SPOILT} == {"floor", "not_worse"}
    assert all("social" in str(check.slice) for check in refused), verdict.reasons
    assert any(reason.startswith(f"category, {SPOILT} of the holdout rows") for reason in verdict.reasons)
