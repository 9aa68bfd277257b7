"""From the shards that a request names to what is learned from them and what the gate asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailweir.models.feedback import FeedbackRow
from mailweir.models.training.admission import Admission, AdmissionReport, Lesson, admit, hold_back
from mailweir.models.training.again import Sources, corpus_rows
from mailweir.models.training.corpus import TASK_VALIDATION, VALIDATION_AUTHORS, MailRow
from mailweir.models.training.recipe import Recipe
from mailweir.schemas.errors import InputError
from mailweir.schemas.events import RetrainRequested, ShardClosed, TaxonomyRef
from mailweir.schemas.taxonomy import installed_taxonomy
from mailweir.services.runs.shards import ShardFile, ShardReader
from mailweir.services.settings import Settings
from mailweir.services.trainer.progress import Progress, Tell

__all__ = ["Rows", "Taught", "admit_shards", "files_of", "read_files", "sources_of", "teach"]

Rows = Mapping[str, Sequence[FeedbackRow]]
"""By id of the shard that they lie in."""


@dataclass(frozen=True, slots=True)
class Taught:
    """What a run learns from beside the corpus, and the report of admission."""

    lesson: Lesson
    report: AdmissionReport

    def data(self, files: Sequence[ShardFile]) -> dict[str, Any]:
        """What the manifest keeps of it."""
        given = self.lesson.by_shard
        return {
            "shards": [file.model_dump() | {"admitted_rows": given.get(file.shard_id, 0)} for file in files],
            "admitted_rows": len(self.lesson.rows),
            "held_back_rows": len(self.lesson.fresh),
        }


def sources_of(settings: Settings) -> Sources:
    """The places that the settings name."""
    return Sources(settings.trainer_corpus, settings.trainer_public, settings.trainer_base)


def files_of(request: RetrainRequested, shards: Sequence[ShardClosed]) -> list[ShardFile]:
    """The shards of a request, with the hashes that it names and the places that they were announced at.

    Raises:
        InputError: one was not announced, or no longer is.
    """
    told = {shard.shard_id: ShardFile.of(shard) for shard in shards}
    missing = [named.shard_id for named in request.shards if named.shard_id not in told]
    if missing:
        message = f"{len(missing)} shards of the request are not on the topic of shards, the first is {missing[0]}; ask for a new run"
        raise InputError(message, shard_id=missing[0])
    return [told[named.shard_id].model_copy(update={"sha256": named.sha256}) for named in request.shards]


def read_files(files: Sequence[ShardFile], ledger: str, tell: Tell) -> Rows:
    """The rows of shards, which lie below `ledger`.

    Raises:
        InputError: a shard lies elsewhere, is gone, changed or none.
        DependencyError: the ledger is away.
    """
    reader, shards = ShardReader(ledger), {}
    tell(Progress("shards", total=len(files)))
    for number, file in enumerate(files, 1):
        shards[file.shard_id] = reader.read(file)
        tell(Progress("shards", done=number, total=len(files)))
    return shards


def teach(
    shards: Rows,
    recipe: Recipe,
    taxonomy: TaxonomyRef,
    learned: Sequence[str],
    sources: Sources,
    tell: Tell,
) -> Taught:
    """Admit, and hold the newest back; `learned` are ids of the rows that the champion was fitted on.

    Raises:
        InputError: the corpus cannot be used.
    """
    admission = admit_shards(shards, recipe, taxonomy, sources, tell)
    rows = [row for given in shards.values() for row in given]
    lesson = hold_back(admission, rows, installed_taxonomy(taxonomy.name, taxonomy.version), learned)
    return Taught(lesson, admission.report)


def admit_shards(shards: Rows, recipe: Recipe, taxonomy: TaxonomyRef, sources: Sources, tell: Tell) -> Admission:
    """What of the shards may be learned from. The same files, corpus and code give the same answer."""
    corpus, holdout = _parted(corpus_rows(recipe.name, sources.corpus), recipe)
    tell(Progress("admission", total=1))
    found = admit(shards, corpus, holdout, taxonomy=installed_taxonomy(taxonomy.name, taxonomy.version))
    tell(Progress("admission", done=1, total=1))
    return found


def _parted(rows: Sequence[MailRow], recipe: Recipe) -> tuple[list[MailRow], list[MailRow]]:
    """What admission believes and what it asks: never the test authors, as what is learned from is chosen here."""
    usual = VALIDATION_AUTHORS if recipe.name == "email" else TASK_VALIDATION
    asked = {*(recipe.validation or usual)} - recipe.test
    known = [row for row in rows if row.author not in recipe.test | asked]
    return known, [row for row in rows if row.author in asked]
