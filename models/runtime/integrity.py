"""Is a bundle the one that its manifest describes? Hashes of files, labels of heads."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from mailweir.schemas.errors import BundleError, UnknownLabel, UnknownTaxonomy
from mailweir.schemas.manifest import BundleFile, Manifest, RefineSpec
from mailweir.schemas.taxonomy import installed_taxonomy

MANIFEST = "manifest.json"
_REMEDY = "restore the folder or train a new bundle: mailweir train"
_SCHEMA = 1  # what we write; a field that changes what scores mean makes it 2, one that may be passed over does not
_NAMED = 10  # fields that a complaint names; a manifest of another kind differs in all


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the bundle in `folder`.

    Raises:
        BundleError: it is missing or unreadable.
    """
    return parse_manifest(folder, manifest_bytes(folder))


def manifest_bytes(folder: Path) -> bytes:
    """What is hashed and signed: the manifest as it lies in `folder`.

    Raises:
        BundleError: it is missing or unreadable.
    """
    path = folder / MANIFEST
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BundleError(f"{folder} is no bundle: it has no {MANIFEST}; {_REMEDY}", path=str(folder)) from error
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror or error}; {_REMEDY}", path=str(path)) from error


def parse_manifest(folder: Path, content: bytes) -> Manifest:
    """The manifest in the bytes that lay in `folder`.

    Raises:
        BundleError: they are none, or one that only newer software understands.
    """
    path = folder / MANIFEST
    try:
        found = Manifest.model_validate_json(content, extra="ignore")
    except ValidationError as error:
        raise BundleError(f"{path} {_complaint(error)} {_REMEDY}", path=str(path)) from error
    if found.schema_version > _SCHEMA:
        later = (
            f"{path} has schema {found.schema_version}, this software reads up to {_SCHEMA}: upgrade the workers first"
        )
        raise BundleError(later, path=str(path))
    return found


def _complaint(error: ValidationError) -> str:
    """What is wrong with a manifest, on one line: it is no JSON, or it lacks fields, or fields have wrong values."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if any(item["type"] == "json_invalid" for item in found):
        return f"is no JSON ({found[0]['msg'].removeprefix('Invalid JSON: ')});"
    lacking = [_place(item["loc"]) for item in found if item["type"] == "missing"]
    wrong = [f"{_place(item['loc'])} ({item['msg']})" for item in found if item["type"] != "missing"]
    said = [f"{verb} {_some(names)}" for verb, names in (("lacks", lacking), ("has a wrong", wrong)) if names]
    return f"{' and '.join(said)}; is it a bundle of another version? If not,"


def _place(steps: Sequence[int | str]) -> str:
    return ".".join(map(str, steps)) or "value"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def describe_file(path: Path) -> BundleFile:
    """Size and hash of a file as it is now."""
    with path.open("rb") as stream:
        return BundleFile(sha256=hashlib.file_digest(stream, "sha256").hexdigest(), size=path.stat().st_size)


def verify_files(folder: Path, manifest: Manifest) -> None:
    """Raise `BundleError` naming the first file that is missing or not the one in the manifest."""
    for name, expected in sorted(manifest.files.items()):
        path = folder / name
        if not path.is_file():
            raise BundleError(f"{path} is missing; {_REMEDY}", path=str(path))
        if describe_file(path) != expected:
            raise BundleError(f"{path} is not the file that {MANIFEST} describes; {_REMEDY}", path=str(path))
    if manifest.refine:
        _verify_refine(folder, manifest, manifest.refine)


def _verify_refine(folder: Path, manifest: Manifest, spec: RefineSpec) -> None:
    """The step is a file of the bundle and refines heads of the bundle."""
    if spec.file not in manifest.files:
        message = f"{folder / MANIFEST} names the step graph {spec.file}, which is not among its files; {_REMEDY}"
        raise BundleError(message, path=str(folder / spec.file))
    unknown = [name for name in spec.heads if name not in manifest.heads]
    if unknown:
        message = f"{folder / MANIFEST} refines {', '.join(unknown)}, which the bundle does not answer; {_REMEDY}"
        raise BundleError(message, path=str(folder / MANIFEST))


def verify_labels(folder: Path, manifest: Manifest) -> None:
    """Raise `BundleError` if a head or label of the bundle is unknown to the taxonomy that it names."""
    try:
        taxonomy = installed_taxonomy(manifest.taxonomy.name, manifest.taxonomy.version)
        for head, label in _named_labels(manifest):
            taxonomy.check_label(head, label)
    except (UnknownTaxonomy, UnknownLabel) as error:
        raise BundleError(f"{folder} does not fit this installation: {error.message}", path=str(folder)) from error


def _named_labels(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Every head and label that the manifest speaks of."""
    parts = [{name: head.labels for name, head in manifest.heads.items()}]
    if manifest.sentences:
        parts += [manifest.sentences.summary.never, manifest.sentences.action_items.never]
    yield from ((head, label) for part in parts for head, labels in part.items() for label in labels)
