"""A bundle made again from its manifest alone, to show that it follows from what it says that it was made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailweir.models.runtime.integrity import read_manifest
from mailweir.models.training.again import Sources, read_sources, recipe_of
from mailweir.models.training.code import code_digest
from mailweir.models.training.corpus import FEEDBACK, MailRow
from mailweir.models.training.start import Start, read_start
from mailweir.models.training.write import rows_digest
from mailweir.schemas.errors import InputError
from mailweir.schemas.manifest import Manifest
from mailweir.services.runs.shards import ShardFile
from mailweir.services.trainer import candidate
from mailweir.services.trainer.lesson import admit_shards, read_files
from mailweir.services.trainer.progress import Tell, silent

__all__ = ["Difference", "Rebuilt", "rebuild"]

_TIMES = ("milliseconds", "_ms", "seconds", "curve")
"""Parts of the names of figures that differ from run to run on the same machine."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure that is not the same."""

    name: str
    before: object
    now: object


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What the new bundle has in common with the old one."""

    before: Manifest
    now: Manifest
    figures: int  # compared
    differences: tuple[Difference, ...]
    other_code: tuple[Difference, ...]  # our own code and packages that are of another version now

    @property
    def same(self) -> bool:
        """Every figure, and, as a version follows from the files, every weight."""
        return self.before.model == self.now.model and not self.differences


def rebuild(
    bundle: Path,
    out: Path,
    sources: Sources,
    ledger: str,
    tell: Tell = silent,
    parent: Callable[[str], Path] | None = None,
) -> Rebuilt:
    """Train again what lies in `bundle`, into `out`, from shards of `ledger`; `parent` gives the folder of the version whose weights it went on from.

    Raises:
        InputError: the manifest says too little, a shard is gone, changed or elsewhere, or the corpus is not the one of then.
        DependencyError: the store of the shards is away.
    """
    before = read_manifest(bundle)
    rows = _learned(before, sources, ledger, tell)
    corpus, _ = read_sources(recipe_of(before), sources)
    if rows_digest([*corpus, *rows]) != before.data.get("sha256"):
        message = (
            f"the rows are not those that {before.model.version} was made of ({before.data.get('rows')} rows): put the corpus of "
            "then at MAILWEIR_TRAINER_CORPUS"
        )
        raise InputError(message, version=before.model.version)
    data = {"feedback": before.data["feedback"]} if "feedback" in before.data else {}
    candidate.train(out, recipe_of(before), before, rows, data, (sources, _start(before, parent)), tell)
    now = read_manifest(out)  # as JSON tells it: a figure that is no number is null
    old, new = dict(_figures(before.metrics)), dict(_figures(now.metrics))
    return Rebuilt(before, now, len(old), tuple(_differing(old, new)), tuple(_versions(before, now)))


def _start(before: Manifest, parent: Callable[[str], Path] | None) -> Start | None:
    version = before.recipe.get("continued_from")
    if version is None:
        return None
    found = read_start(parent(version)) if parent else None
    if found is None:
        message = f"{before.model.version} went on from the weights of {version}: name the registry that has that one"
        raise InputError(message, version=version)
    return found


def _learned(before: Manifest, sources: Sources, ledger: str, tell: Tell) -> list[MailRow]:
    """The rows of feedback that the bundle was fitted on, in their order."""
    wanted, told = before.data.get("fitted_rows", []), before.data.get("feedback")
    if not wanted or told is None:
        return []
    files = [
        ShardFile.model_validate({name: shard[name] for name in ShardFile.model_fields if name in shard})
        for shard in told["shards"]
    ]
    admission = admit_shards(read_files(files, ledger, tell), recipe_of(before), before.taxonomy, sources, tell)
    found = {row.mail.id: row.mail.model_copy(update={"author": FEEDBACK}) for row in admission.rows}
    if missing := [name for name in wanted if name not in found]:
        message = (
            f"admission refuses {len(missing)} of the {len(wanted)} rows of feedback that {before.model.version} was fitted on: the "
            f"corpus or the code is another (code {before.recipe.get('code')} then, {code_digest()} now)"
        )
        raise InputError(message, version=before.model.version)
    return [found[name] for name in wanted]


def _figures(found: Any, place: str = "") -> Iterator[tuple[str, object]]:
    """Every figure by its path, those that tell time left out."""
    parts = (
        found.items() if isinstance(found, Mapping) else enumerate(found) if isinstance(found, list | tuple) else None
    )
    if parts is None:
        yield place, found
        return
    for name, value in parts:
        if not any(part in str(name) for part in _TIMES):
            yield from _figures(value, f"{place}.{name}" if place else str(name))


def _differing(old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[Difference]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield Difference(name, old.get(name), new.get(name))


def _versions(before: Manifest, now: Manifest) -> Iterator[Difference]:
    told = [{"code": manifest.recipe.get("code"), **manifest.recipe.get("versions", {})} for manifest in (before, now)]
    return _differing(*told)
