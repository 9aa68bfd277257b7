"""What the commands of `mailweir models` share: which registry, which version."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailweir.schemas.errors import RegistryError
from mailweir.services.settings import Settings

if TYPE_CHECKING:
    from mailweir.models.registry import Registry

__all__ = ["By", "Json", "Model", "Place", "bundle_folder", "champion_version", "named_version", "open_registry", "who"]

CHAMPION, SHADOW = "champion", "shadow"

By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who; else the login.", show_default=False)]

Json = Annotated[bool, typer.Option("--json", help="JSON for scripts.")]
Model = Annotated[str, typer.Option("--model", metavar="NAME", help="Which model.")]
Place = Annotated[
    Path | None, typer.Option("--registry", metavar="DIR", help="Instead of MAILWEIR_REGISTRY.", show_default=False)
]


def open_registry(settings: Settings) -> Registry:
    """The registry of the settings, which gives out signed bundles only where they name a public key.

    Raises:
        RegistryError: they name none, or the key cannot be read.
    """
    from mailweir.models.registry import Registry, read_public

    if settings.registry is None:
        raise RegistryError("which registry? Set MAILWEIR_REGISTRY to its folder, or give --registry DIR")
    return Registry(settings.registry, read_public(settings.models_public_key) if settings.models_public_key else None)


def champion_version(registry: Registry, model: str) -> str:
    """The version that is champion.

    Raises:
        RegistryError: there is none.
    """
    champion = registry.champion(model)
    if champion is None:
        raise RegistryError(f"{model} has no champion in {registry.root}: mailweir models promote", name=model)
    return champion.model.version


def named_version(settings: Settings, model: str, named: str) -> str:
    """The version that a person means: `champion` or `shadow` as the registry says, else the name itself.

    Raises:
        RegistryError: there is no champion or shadow, or no registry to look in.
    """
    if named == CHAMPION:
        return champion_version(open_registry(settings), model)
    if named == SHADOW:
        registry = open_registry(settings)
        shadow = registry.shadow(model)
        if shadow is None:
            message = f"no version of {model} scores beside the champion: mailweir models shadow, or name a version"
            raise RegistryError(message, name=model)
        return shadow.model.version
    return named


def who(named: str | None) -> str:
    """Whom the history names: `--by`, else the login."""
    if named and named.strip():
        return named.strip()
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without an entry
        return f"uid {os.getuid()}"


def bundle_folder(settings: Settings, model: str, named: str) -> Path:
    """The folder that a person means: a path (with a slash, or where there is no registry), a version, `champion` or `shadow`.

    Raises:
        RegistryError: there is no such version, or no registry to look in.
    """
    if "/" in named or named == "." or (settings.registry is None and Path(named).is_dir()):
        return Path(named)
    registry = open_registry(settings)
    return registry.entry(model, named_version(settings, model, named)).folder
