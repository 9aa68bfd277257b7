"""The gate of a run: candidate against the champion of this moment, on the holdout and on what was held back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any

import orjson
from threadpoolctl import threadpool_limits

from mailweir.models.evaluation import Example, read_examples
from mailweir.models.training.again import Sources, corpus_rows
from mailweir.models.training.corpus import MailRow
from mailweir.models.training.gate import Limits
from mailweir.models.training.gate.judge import FRESH, HOLDOUT
from mailweir.models.training.gate.rows import unseen
from mailweir.models.training.gate.run import Sets, run_gate
from mailweir.models.training.gate.verdict import VERDICT
from mailweir.models.training.recipe import Recipe
from mailweir.schemas.events import ModelRef
from mailweir.schemas.manifest import Manifest
from mailweir.services.settings import Settings
from mailweir.services.trainer.folder import RunFolder
from mailweir.services.trainer.progress import Progress, Tell

__all__ = ["Found", "earlier", "figures", "judge", "sets_of"]

_NAME = f"verdict/{VERDICT}"


@dataclass(frozen=True, slots=True)
class Found:
    """A verdict as it lies in the run's folder."""

    candidate: ModelRef
    champion: ModelRef
    reasons: tuple[str, ...]  # why it is refused; empty if it passed
    metrics: Mapping[str, float]  # F1 of each head on each set of rows, of both


def figures(folder: RunFolder) -> Mapping[str, float]:
    """F1 of each head on each set of rows, of both; empty before a verdict."""
    content = folder.read(_NAME)
    return _read(orjson.loads(content)).metrics if content else {}


def earlier(folder: RunFolder, candidate: ModelRef, champion: ModelRef) -> Found | None:
    """The verdict of an earlier try; None if there is none, or one against another champion."""
    content = folder.read(_NAME)
    found = _read(orjson.loads(content)) if content else None
    return found if found and (found.candidate, found.champion) == (candidate, champion) else None


def judge(
    folder: RunFolder, champion: Path, sets: Sets, settings: Settings, tell: Tell, limits: Limits | None = None
) -> Found:
    """Ask both, judge, and keep the verdict, with a page where matplotlib is installed.

    Raises:
        BundleError: a bundle cannot be loaded.
    """
    total, done = sum(len(rows) for rows in sets.rows.values()), 0

    def answered(_: Example) -> None:
        nonlocal done
        done += 1
        tell(Progress("gate", done=done, total=total))

    tell(Progress("gate", total=total))
    with threadpool_limits(1):
        judged = run_gate((folder.candidate, champion), sets, limits, answered, settings.classify_threads)
    if util.find_spec("matplotlib") is not None:
        from mailweir.models.training.gate.page import write_page

        write_page(folder.verdict, judged, "the holdout and the newest feedback")
    folder.verdict.mkdir(exist_ok=True)
    folder.write(_NAME, judged.verdict.encode() + b"\n")
    return _read(orjson.loads(judged.verdict.encode()))


def sets_of(
    manifests: tuple[Manifest, Manifest], recipe: Recipe, fresh: Sequence[MailRow], settings: Settings, sources: Sources
) -> Sets:
    """The holdout and the rows that were held back, less those that a bundle learned from.

    Raises:
        InputError: the holdout cannot be read.
    """
    champion = manifests[1]
    read = {HOLDOUT: _holdout(champion, recipe, settings, sources), FRESH: _examples(fresh, champion)}
    kept = {name: unseen(rows, manifests) for name, rows in read.items()}
    return Sets(kept, {name: len(rows) - len(kept[name]) for name, rows in read.items()})


def _holdout(champion: Manifest, recipe: Recipe, settings: Settings, sources: Sources) -> list[Example]:
    if settings.trainer_holdout is not None:
        return read_examples([settings.trainer_holdout], champion)
    rows = corpus_rows(recipe.name, sources.corpus)
    return _examples((row for row in rows if row.author in recipe.test), champion)


def _examples(rows: Iterable[MailRow], champion: Manifest) -> list[Example]:
    return [
        Example(
            row.id, row.language, row.author, row.subject, row.sender, row.mailbox, row.body,
            {head: row.labels.get(head) for head in champion.heads}, row.marks,
        )
        for row in rows
    ]  # fmt: skip


def _read(told: Mapping[str, Any]) -> Found:
    checks = [check for check in told["checks"] if check["rule"] == "not_worse" and check["slice"] == "all rows"]
    metrics = {
        f"{check['rows_of']}.{check['head']}.{side}": check[side]
        for check in checks
        for side in ("candidate", "champion")
        if check[side] is not None
    }
    candidate, champion = (ModelRef.model_validate(told[side]) for side in ("candidate", "champion"))
    return Found(candidate, champion, tuple(told["reasons"]), metrics)
