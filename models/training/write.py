"""Write a bundle folder: files first, then the manifest that holds their hashes, then one rename."""

import hashlib
import platform
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mailweir.models.runtime.integrity import MANIFEST, describe_file
from mailweir.models.runtime.policy import POLICY_VERSION
from mailweir.models.training.card import model_card
from mailweir.models.training.corpus import MailRow
from mailweir.models.training.heads import Strength
from mailweir.models.training.recipe import EMAIL, TASK, Recipe
from mailweir.models.training.tuning import differences
from mailweir.models.training.vocabulary import Vocabulary
from mailweir.schemas.errors import InputError
from mailweir.schemas.events import ModelRef, TaxonomyRef, utc_now
from mailweir.schemas.manifest import CheapSpec, HeadSpec, InputSpec, Manifest, ScopeSpec, SentenceSpec, TagSpec

CARD = "MODEL_CARD.md"
_TRAINED_LANGUAGES = 30  # rows below which a language is not one that the model knows
_SHIPPED = {recipe.name: recipe for recipe in (EMAIL, TASK)}
_TOOLS = ("numpy", "onnx", "onnxruntime", "scikit-learn", "tokenizers")
_TUNING_TOOLS = ("peft", "torch", "transformers")


@dataclass(frozen=True, slots=True)
class Made:
    """What the manifest tells about the files that were written."""

    recipe: Recipe
    specs: Mapping[str, HeadSpec]
    strengths: Mapping[str, Strength]
    tags: TagSpec | None
    scope: ScopeSpec | None
    sentences: SentenceSpec | None
    entity_precision: Mapping[str, float]
    results: Mapping[str, Any]
    rows: Sequence[MailRow]
    public: Mapping[str, int]  # rows of public collections beside them
    vocabulary: Vocabulary
    cheap: CheapSpec | None = None
    start: str | None = None  # version of the bundle that training went on from


def check_target(out: Path) -> None:
    """Raise `InputError` if `out` holds something that is no bundle: it would be replaced."""
    if out.exists() and not (out / MANIFEST).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists and is no bundle: name a new folder", path=str(out))


def write_bundle(out: Path, make: Callable[[Path], Made]) -> Manifest:
    """Let `make` write graph and tokenizer into a folder beside `out`, add card and manifest, put it in its place."""
    return put_bundle(out, lambda made: _manifest(made, make(made)))


def put_bundle(out: Path, make: Callable[[Path], Manifest]) -> Manifest:
    """Let `make` write the files of a bundle into a folder beside `out`, add card and manifest, put it in its place."""
    check_target(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as folder:
        made = Path(folder) / "new"
        made.mkdir()
        manifest = make(made)
        (made / CARD).write_text(model_card(manifest), encoding="utf-8")
        manifest = manifest.model_copy(update={"files": {**manifest.files, CARD: describe_file(made / CARD)}})
        (made / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
        if out.exists():
            out.rename(Path(folder) / "old")
        shutil.move(made, out)
    return manifest


def _manifest(folder: Path, parts: Made) -> Manifest:
    files = {path.name: describe_file(path) for path in sorted(folder.iterdir())}
    identity = hashlib.sha256("".join(file.sha256 for file in files.values()).encode())
    calibration = [
        parts.specs,
        parts.tags,
        parts.scope,
        parts.sentences,
        parts.entity_precision,
        _identity(parts.cheap),
    ]
    identity.update(repr(calibration).encode())
    return Manifest(
        model=ModelRef(name=parts.recipe.name, version=f"1.{identity.hexdigest()[:10]}"),
        taxonomy=TaxonomyRef(name=parts.recipe.name, version=1),
        policy_version=POLICY_VERSION,
        tier="encoder",
        files=files,
        input=InputSpec(
            max_tokens=parts.recipe.max_tokens,
            pad_id=parts.vocabulary.padding,
            unknown_id=parts.vocabulary.pieces.unknown,
        ),
        heads=dict(parts.specs),
        entity_precision=dict(parts.entity_precision),
        tags=parts.tags,
        scope=parts.scope,
        cheap=parts.cheap,
        sentences=parts.sentences,
        languages=_languages(parts.rows),
        base=f"{parts.recipe.base}, first {parts.recipe.layers} layers, {_change(parts.recipe)}",
        quantization="int8: smoothed fixed ranges, a range per token before the second feed-forward matrix, embedding rows",
        data=_data(parts.rows, parts.recipe) | {"public": dict(parts.public)},
        recipe=_recipe(parts),
        metrics=dict(parts.results),
        created_at=utc_now(),
    )


def _identity(cheap: CheapSpec | None) -> CheapSpec | None:
    """What of the cheap tier makes an answer: not its curve, whose milliseconds differ from run to run."""
    return cheap.model_copy(update={"curve": ()}) if cheap else None


def _change(recipe: Recipe) -> str:
    return f"low-rank adapters of rank {recipe.tuning.adapters.rank} merged" if recipe.tuning else "frozen"


def _languages(rows: Sequence[MailRow]) -> tuple[str, ...]:
    spoken = [row.language for row in rows]
    return tuple(sorted(code for code in set(spoken) - {"other"} if spoken.count(code) >= _TRAINED_LANGUAGES))


def _data(rows: Sequence[MailRow], recipe: Recipe) -> dict[str, Any]:
    authors = sorted({row.author for row in rows})
    held = recipe.validation if recipe.tuning else ()
    digest = hashlib.sha256("\n".join(row.model_dump_json() for row in rows).encode()).hexdigest()
    return {
        "source": "models/corpus, written for this project",
        "sha256": digest,
        "rows": len(rows),
        "altered": sum("+" in row.id for row in rows),  # repeats and other forms, as `mailweir data build` names them
        "rows_by_language": {
            code: sum(r.language == code for r in rows) for code in sorted({r.language for r in rows})
        },
        "fitted_on": [a for a in authors if a not in recipe.test and a not in held],
        "chosen_and_calibrated_on": [a for a in authors if a in held],
        "tested_on": [a for a in authors if a in recipe.test],
    }


def _command(parts: Made) -> str:
    options = [
        f"--taxonomy {parts.recipe.name}",
        "--public DIR" if parts.public else "",
        "" if parts.recipe.tuning else "--frozen",
        *_base(parts.recipe),
        *_changes(parts.recipe),
    ]
    return " ".join(["mailweir train --out DIR", *(option for option in options if option)])


def _base(recipe: Recipe) -> list[str]:
    usual = _SHIPPED.get(recipe.name, recipe)
    layers = [f"--layers {recipe.layers}"] if recipe.layers != usual.layers else []
    return [*(["--base DIR"] if recipe.base != usual.base else []), *layers]


def _changes(recipe: Recipe) -> list[str]:
    usual = _SHIPPED[recipe.name].tuning if recipe.name in _SHIPPED else None
    if recipe.tuning is None or usual is None:
        return []
    return [f"--set {option}" for option in differences(recipe.tuning, usual)]


def _recipe(parts: Made) -> dict[str, Any]:
    tools = (*_TOOLS, *(_TUNING_TOOLS if parts.recipe.tuning else ()), "mailweir")
    return {
        "command": _command(parts),
        "options": asdict(parts.recipe),
        "chosen": {head: asdict(strength) for head, strength in parts.strengths.items()},
        "continued_from": parts.start,
        "versions": {"python": platform.python_version()} | {tool: version(tool) for tool in tools},
    }
