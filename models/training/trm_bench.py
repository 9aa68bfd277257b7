"""A finished bundle and annotated rows, laid out for fitting a refinement over it and judging it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mailweir.models.export.step import expose_states
from mailweir.models.export.weights import Floats
from mailweir.models.runtime.bundle import MODEL, TOKENIZER
from mailweir.models.runtime.graph import Ids
from mailweir.models.runtime.integrity import read_manifest, verify_files
from mailweir.models.text.tokens import MailTokenizer
from mailweir.models.training.corpus import MailRow
from mailweir.models.training.heads import Mask, ask
from mailweir.models.training.prepare import row_input
from mailweir.models.training.recipe import Steps
from mailweir.models.training.states import read_states
from mailweir.models.training.trm_fit import Lesson
from mailweir.schemas.errors import InputError
from mailweir.schemas.manifest import Manifest
from mailweir.schemas.taxonomy import installed_taxonomy


@dataclass(frozen=True, slots=True)
class Bench:
    """Rows as the bundle sees them, split as the bundle was."""

    manifest: Manifest
    model: Path  # the bundle's graph with the output `states`
    rows: Sequence[MailRow]
    mails: Sequence[Ids]
    lesson: Lesson
    plain: Floats  # (rows, all labels): logits of the bundle's own heads
    testing: Mask  # (rows,)

    @property
    def judged(self) -> Mask:
        """Rows that no weight is fitted on."""
        return self.lesson.validating | self.testing

    @property
    def languages(self) -> list[str]:
        """Language of each row."""
        return [row.language for row in self.rows]

    @property
    def folds(self) -> list[Mask]:
        """Of the validation rows, in their order, those of each author."""
        names = np.array([row.author for row in self.rows])[self.lesson.validating]
        return [names == name for name in sorted(set(names))]


def read_bench(bundle: Path, rows: Sequence[MailRow], model: Path, steps: Steps) -> Bench:
    """Run the encoder of `bundle` over `rows`; the graph with the output `states` is written to `model`.

    Raises:
        BundleError: the bundle is missing or changed.
        InputError: it was calibrated on none of the rows' authors, or fitted on none.
    """
    manifest = read_manifest(bundle)
    verify_files(bundle, manifest)
    fitting, validating, testing = _split(bundle, manifest, rows)
    expose_states(bundle / MODEL, model)
    read = MailTokenizer.load(bundle / TOKENIZER, manifest.input.max_tokens)
    mails = [read(row_input(row)).ids for row in rows]
    with steps.step("token vectors", len(mails)) as advance:
        seen = read_states(model, manifest, mails, advance)
    taxonomy = installed_taxonomy(manifest.taxonomy.name, manifest.taxonomy.version)
    questions = [ask(name, taxonomy.heads[name], rows) for name in manifest.heads]
    return Bench(manifest, model, rows, mails, Lesson(seen.states, questions, fitting, validating), seen.plain, testing)


def _split(bundle: Path, manifest: Manifest, rows: Sequence[MailRow]) -> tuple[Mask, Mask, Mask]:
    """Fitting, validating and testing rows: the bundle's own validation and test authors; who is new is fitted on."""
    names = np.array([row.author for row in rows])
    held, tested = (manifest.data.get(key, []) for key in ("chosen_and_calibrated_on", "tested_on"))
    validating, testing = np.isin(names, held), np.isin(names, tested)
    fitting = ~validating & ~testing
    if len(set(names[validating])) < 2 or not fitting.any():
        wanted = ", ".join(held) or "nobody: it was trained with --frozen"
        raise InputError(
            f"refinement is judged by rows of two or more authors whom {bundle} was calibrated on ({wanted}) and fitted on others: "
            "name a fine-tuned bundle and the corpus that it was trained on",
            path=str(bundle),
        )
    return fitting, validating, testing
