"""`mailweir models list | show | verify`: what is in the registry, and whether it is whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.text import Text

from mailweir.schemas.errors import BundleError, RegistryError
from mailweir.schemas.events import ModelRef
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.models_registry import CHAMPION, Json, Model, Place, bundle_folder, open_registry
from mailweir.services.cli.output import Column, Rows, complain, console, emit, file_size, plain
from mailweir.services.cli.rows import local_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailweir.models.registry import Entry, Promotion, Registry

__all__ = ["list_all", "show", "verify"]

T = TypeVar("T")

_FEW = 10  # latest entries of a history


def list_all(*, registry: Place = None, as_json: Json = False) -> None:
    """List the versions of every model, oldest first: which is champion or shadow, who signed it, how large it is.

    What is listed is what the manifests say; [bold]mailweir models verify[/] looks at every file.

    Exit codes: 0 listed, also when there is none; 1 a version or a pointer cannot be read (the others are listed); 2 no registry.
    """
    opened = open_registry(client_settings(registry=registry))
    rows = Rows(console(), _COLUMNS)
    broken = 0
    for name in opened.names():
        roles, spoilt = _Roles.of(opened, name)
        entries, problems = _entries(opened, name)
        problems = [*spoilt, *problems]
        for entry in entries:
            emit(_json(entry, roles)) if as_json else rows.add(_cells(entry, roles))
        for problem in problems:
            complain(problem)
        broken += len(problems)
    if not rows.count and not as_json and not broken:
        console().print(f"no versions in {opened.root}: mailweir models add DIR")
    if broken:
        raise typer.Exit(1)


def show(
    version: Annotated[str, typer.Argument(metavar="[VERSION]", help="Else the champion.")] = CHAMPION,
    *,
    model: Model = "email",
    registry: Place = None,
    as_json: Json = False,
) -> None:
    """Show one version: where it comes from, its files, and when it was champion and why.

    Exit codes: 0 shown; 1 shown, but the pointer to the shadow cannot be read; 2 no such version or no registry.
    """
    settings = client_settings(registry=registry)
    opened = open_registry(settings)
    folder = bundle_folder(settings, model, version)
    entry, (roles, spoilt) = opened.entry(model, folder.name), _Roles.of(opened, model)
    history = [made for made in opened.history(model) if entry.model in (made.model, made.previous)]
    if as_json:
        more = {"manifest": entry.trusted.manifest.model_dump(mode="json")}
        emit(_json(entry, roles) | more | {"history": [made.model_dump(mode="json") for made in history]})
    else:
        _print(entry, history, roles)
    for problem in spoilt:
        complain(problem)
    if spoilt:
        raise typer.Exit(1)


def verify(
    version: Annotated[
        str, typer.Argument(metavar="[VERSION | DIR]", help="A version, or a bundle's folder; else the champion.")
    ] = CHAMPION,
    *,
    model: Model = "email",
    registry: Place = None,
    as_json: Json = False,
) -> None:
    """Check a bundle file by file against its manifest, and its signature where MAILWEIR_MODELS_PUBLIC_KEY names a key.

    [bold]mailweir models verify build/bundle[/]

    Exit codes: 0 it is whole; 1 a file is missing, changed or not signed (it is named); 2 no such version or no registry.
    """
    from mailweir.models.registry import key_id, read_public, verify_bundle

    settings = client_settings(registry=registry)
    key = read_public(settings.models_public_key) if settings.models_public_key else None
    try:
        folder = bundle_folder(settings, model, version)
        found = verify_bundle(folder, key)
    except BundleError as error:
        if as_json:
            emit({"whole": False, "error": error.message})
        complain(error.message)
        raise typer.Exit(1) from error
    signer = key_id(key) if key else None
    if as_json:
        emit({"whole": True, "folder": str(folder), "manifest_sha256": found.sha256, "signed_by": signer})
        return
    said = (
        f"signed by {signer}" if signer else "its signature was not looked at: MAILWEIR_MODELS_PUBLIC_KEY names no key"
    )
    typer.echo(f"{folder} is whole: {len(found.manifest.files)} files as in the manifest; {said}")


_COLUMNS = (
    Column("model", 8, 3),
    Column("version", 12, grows=True),
    Column("", 10),
    Column("made", 19, 1),
    Column("signed by", 16, 2),
    Column("taxonomy", 10, 4),
    Column("size", 8, 5, right=True),
)


@dataclass(frozen=True, slots=True)
class _Roles:
    """Which versions of a model the registry points to; a pointer that cannot be read points to none."""

    champion: ModelRef | None
    shadow: ModelRef | None
    share: float | None  # of the mails that the shadow scores

    @classmethod
    def of(cls, registry: Registry, name: str) -> tuple[_Roles, list[str]]:
        """And what is wrong with a pointer: it must not hide the versions."""
        problems: list[str] = []
        champion = _read(lambda: registry.champion(name), problems)
        shadow = _read(lambda: registry.shadow(name), problems)
        model = champion.model if champion else None
        return (cls(model, shadow.model, shadow.share) if shadow else cls(model, None, None)), problems

    def word(self, entry: Entry) -> str:
        """What it is; empty for most."""
        if entry.model == self.champion:
            return "champion"
        return f"shadow {self.share:g}" if entry.model == self.shadow else ""


def _read(pointer: Callable[[], T], problems: list[str]) -> T | None:
    try:
        return pointer()
    except RegistryError as error:
        problems.append(error.message)
        return None


def _entries(registry: Registry, name: str) -> tuple[list[Entry], list[str]]:
    """By age; and what is wrong with those that cannot be read: one must not hide the others."""
    found, problems = [], []
    for version in registry.versions(name):
        try:
            found.append(registry.entry(name, version))
        except (BundleError, RegistryError) as error:
            problems.append(error.message)
    return sorted(found, key=lambda entry: (entry.trusted.manifest.created_at, entry.model.version)), problems


def _size(entry: Entry) -> int:
    return sum(file.size for file in entry.trusted.manifest.files.values())


def _cells(entry: Entry, roles: _Roles) -> dict[str, str | Text]:
    manifest = entry.trusted.manifest
    return {
        "model": entry.model.name,
        "version": entry.model.version,
        "": Text(roles.word(entry), "bold green" if roles.champion == entry.model else "cyan"),
        "made": local_time(manifest.created_at),
        "signed by": entry.signature.key_id if entry.signature else Text("nobody", "dim"),
        "taxonomy": f"{manifest.taxonomy.name} {manifest.taxonomy.version}",
        "size": file_size(_size(entry)),
    }


def _json(entry: Entry, roles: _Roles) -> dict[str, Any]:
    return {
        "model": entry.model.name,
        "version": entry.model.version,
        "champion": roles.champion == entry.model,
        "shadow": roles.share if roles.shadow == entry.model else None,
        "folder": str(entry.folder),
        "created_at": entry.trusted.manifest.created_at.isoformat(),
        "signed_by": entry.signature.key_id if entry.signature else None,
        "manifest_sha256": entry.trusted.sha256,
        "bytes": _size(entry),
    }


def _print(entry: Entry, history: Sequence[Promotion], roles: _Roles) -> None:
    to, manifest = console(), entry.trusted.manifest
    facts = {
        "version": f"{entry.model.name} {entry.model.version}{', ' if (role := roles.word(entry)) else ''}{role}",
        "folder": str(entry.folder),
        "made": local_time(manifest.created_at),
        "signed by": entry.signature.key_id if entry.signature else "nobody",
        "taxonomy": f"{manifest.taxonomy.name} {manifest.taxonomy.version}",
        "tier": manifest.tier,
        "heads": ", ".join(manifest.heads),
        "languages": ", ".join(manifest.languages),
        "base": manifest.base,
        "weights": manifest.quantization,
        "manifest": entry.trusted.sha256,
    }
    for name, value in facts.items():
        to.print(f"[bold]{name:<10}[/] ", end="")
        to.print(plain(value), markup=False, soft_wrap=True)
    for name, file in sorted(manifest.files.items()):
        to.print(f"{'':<10} {plain(name):<20} {file_size(file.size):>9}  {file.sha256[:16]}…", markup=False)
    to.print()
    if not history:
        to.print("it was never champion")
        return
    rows = Rows(
        to,
        [
            Column("#", 4, right=True),
            Column("when", 19),
            Column("", 11),
            Column("by", 12),
            Column("why", 20, grows=True),
        ],
    )
    for made in history[-_FEW:]:
        deed = made.action.replace("_", " ") if made.model == entry.model else "replaced"
        cells = {"#": str(made.number), "when": local_time(made.at), "": deed, "by": made.by, "why": made.cause}
        rows.add(dict(cells))
