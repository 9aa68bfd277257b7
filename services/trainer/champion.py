"""The model that a run starts from, and the model that it must beat: mostly the same, told apart all the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mailweir.models.registry import PrivateKey, Promotion, Registry, key_id, read_private, read_public
from mailweir.models.runtime import shipped_bundle
from mailweir.models.runtime.integrity import read_manifest
from mailweir.schemas.errors import RegistryError, SettingsError
from mailweir.schemas.events import ModelRef
from mailweir.schemas.manifest import Manifest
from mailweir.services.settings import Settings

__all__ = ["House", "open_house"]


@dataclass(frozen=True, slots=True)
class House:
    """The registry, what is served before it has a champion, and the key that candidates are signed with."""

    registry: Registry
    first: Path  # bundle that workers serve until the first promotion
    key: PrivateKey | None = None

    def champion(self, name: str) -> tuple[Manifest, str | None]:
        """The manifest of what is served now, and the version that a promotion has to expect: None before the first.

        Raises:
            RegistryError: the registry cannot be read, or the bundle that is served is another model's.
            BundleError: there is no readable manifest.
        """
        champion = self.registry.champion(name)
        if champion is not None:
            return self.manifest(champion.model), champion.model.version
        manifest = read_manifest(self.first)
        if manifest.model.name != name:
            message = f"{name} has no champion in {self.registry.root}, and {self.first} is {manifest.model.name}: promote one"
            raise RegistryError(message, name=name)
        return manifest, None

    def folder(self, model: ModelRef) -> Path:
        """Where the bundle lies.

        Raises:
            RegistryError: nowhere.
        """
        if model.version in self.registry.versions(model.name):
            return self.registry.folder(model)
        if read_manifest(self.first).model == model:
            return self.first
        return self.registry.entry(model.name, model.version).folder

    def manifest(self, model: ModelRef) -> Manifest:
        """Of a bundle that is there."""
        return read_manifest(self.folder(model))

    def promotion_by(self, run_id: str, name: str) -> Promotion | None:
        """The promotion that a run made; None if it made none yet."""
        entries = self.registry.history(name)
        return next((one for one in entries if one.action == "promoted" and one.cause == run_id), None)


def open_house(settings: Settings) -> House:
    """What the settings name.

    Raises:
        RegistryError: they name no registry, or a key cannot be read.
        SettingsError: workers ask for signed bundles, and candidates would not be signed by the key that they trust.
    """
    if settings.registry is None:
        raise RegistryError("a run promotes in a registry: set MAILWEIR_REGISTRY to its folder")
    public = read_public(settings.models_public_key) if settings.models_public_key else None
    private = read_private(settings.trainer_key) if settings.trainer_key else None
    if public is not None and (private is None or key_id(private.public_key()) != key_id(public)):
        raise SettingsError(
            f"workers trust the key {key_id(public)} only: set MAILWEIR_TRAINER_KEY to its private key, or no candidate can be promoted"
        )
    return House(Registry(settings.registry, public), settings.bundle or shipped_bundle(), private)
