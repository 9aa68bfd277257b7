"""The rows that the gate asks: a holdout that stays the same, and fresh feedback; none that either bundle learned from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from mailweir.models.evaluation import Example, read_examples
from mailweir.models.training.corpus import FOLDER, TASK_TEST, TEST_AUTHORS, load_tasks, tasks_as_mails
from mailweir.schemas.errors import InputError
from mailweir.schemas.manifest import Manifest

__all__ = ["holdout", "unseen"]


def holdout(paths: Sequence[Path], manifest: Manifest) -> list[Example]:
    """The rows of `paths`; without any, the corpus' rows by the test authors.

    Raises:
        InputError: a row cannot be used, or there is no corpus here.
    """
    if paths:
        return read_examples(paths, manifest)
    if not FOLDER.is_dir():
        raise InputError("this installation has no corpus: name a file of annotated rows for the holdout")
    if manifest.taxonomy.name == "task":
        return _tasks()
    return read_examples([FOLDER / f"{author}.jsonl" for author in sorted(TEST_AUTHORS)], manifest)


def unseen(examples: Iterable[Example], manifests: Iterable[Manifest]) -> list[Example]:
    """Those whose author and id none of the manifests names among what was fitted, chosen or calibrated on.

    `data.fitted_on` and `data.chosen_and_calibrated_on` are authors, `data.fitted_rows` ids of rows.
    """
    authors: set[str] = set()
    ids: set[str] = set()
    for manifest in manifests:
        authors |= {*manifest.data.get("fitted_on", ()), *manifest.data.get("chosen_and_calibrated_on", ())}
        ids |= set(manifest.data.get("fitted_rows", ()))
    return [example for example in examples if example.source not in authors and example.id not in ids]


def _tasks() -> list[Example]:
    rows = [row for row in tasks_as_mails(load_tasks()) if row.author in TASK_TEST]
    return [
        Example(row.id, row.language, row.author, row.subject, "", "", row.body, dict(row.labels), None) for row in rows
    ]
