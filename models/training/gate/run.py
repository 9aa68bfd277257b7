"""Both bundles are loaded, asked the same rows in turn, and judged: the gate's only part that runs a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mailweir.models.evaluation import Answer, Example, answer, read_examples
from mailweir.models.runtime import Bundle
from mailweir.models.runtime.integrity import read_manifest
from mailweir.models.training.gate.judge import FRESH, HOLDOUT, judge
from mailweir.models.training.gate.limits import Limits
from mailweir.models.training.gate.neighbours import neighbours
from mailweir.models.training.gate.rows import holdout, unseen
from mailweir.models.training.gate.sitting import Sitting
from mailweir.models.training.gate.verdict import Verdict

__all__ = ["Judged", "Sets", "ask_both", "read_sets", "run_gate"]

_MIXED_MAILS = 64  # as many as training measures on; the effect of a neighbour shows on the first few

Advance = Callable[[Example], None]


@dataclass(frozen=True, slots=True)
class Sets:
    """Rows to ask, by holdout and fresh, and how many were left out because a bundle learned from them."""

    rows: Mapping[str, Sequence[Example]]
    left_out: Mapping[str, int]

    @property
    def characters(self) -> int:
        """Of all bodies: the work ahead."""
        return sum(len(example.body) for rows in self.rows.values() for example in rows)


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict and what it rests on."""

    verdict: Verdict
    candidate: Sitting
    champion: Sitting


def read_sets(bundles: Sequence[Path], data: Sequence[Path], fresh: Sequence[Path]) -> Sets:
    """Rows that no bundle of these folders learned from.

    Raises:
        InputError: a row or file cannot be used.
        BundleError: a bundle has no readable manifest.
    """
    manifests = [read_manifest(folder) for folder in bundles]
    read = {HOLDOUT: holdout(data, manifests[-1]), FRESH: read_examples(fresh, manifests[-1]) if fresh else []}
    kept = {name: unseen(rows, manifests) for name, rows in read.items()}
    return Sets(kept, {name: len(rows) - len(kept[name]) for name, rows in read.items()})


def run_gate(
    bundles: tuple[Path, Path],
    sets: Sets,
    limits: Limits | None = None,
    advance: Advance | None = None,
    threads: int = 1,
) -> Judged:
    """Ask candidate and champion, in this order in `bundles`, and judge.

    Raises:
        BundleError: a bundle cannot be loaded.
    """
    candidate, champion = (Bundle.load(folder, threads) for folder in bundles)
    ours, theirs = ask_both(candidate, champion, sets.rows, advance)
    return Judged(judge(ours, theirs, limits, sets.left_out), ours, theirs)


def ask_both(
    candidate: Bundle, champion: Bundle, rows: Mapping[str, Sequence[Example]], advance: Advance | None = None
) -> tuple[Sitting, Sitting]:
    """Every row is asked of both, one after the other and every other time the other way round, so that both pay alike for a busy machine."""
    bundles = (candidate, champion)
    answers: tuple[dict[str, list[Answer]], dict[str, list[Answer]]] = ({}, {})
    for name, examples in rows.items():
        answers[0][name], answers[1][name] = [], []
        for number, example in enumerate(examples):
            for side in (0, 1) if number % 2 else (1, 0):
                answers[side][name] += answer(bundles[side], [example])
            if advance:
                advance(example)
    ours, theirs = (_sitting(bundle, given) for bundle, given in zip(bundles, answers, strict=True))
    return ours, theirs


def _sitting(bundle: Bundle, answers: Mapping[str, Sequence[Answer]]) -> Sitting:
    asked = [one for part in answers.values() for one in part]
    inputs = [one.example.model_input() for one in asked[:_MIXED_MAILS]]
    return Sitting(bundle.manifest, answers, neighbours(bundle, inputs), [one.total_ms for one in asked])
