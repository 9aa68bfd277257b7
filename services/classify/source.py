"""Where a worker's bundle comes from: a folder, or the champion of a registry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mailweir.models.registry import Promotion, PublicKey, Registry, Shadow, read_public, trusted_manifest
from mailweir.models.runtime import Bundle, shipped_bundle
from mailweir.schemas.errors import BundleError
from mailweir.services.settings import Settings

__all__ = ["BundleSource", "Served", "bundle_source"]

_MODEL = "email"


@dataclass(frozen=True, slots=True)
class Served:
    """A bundle in memory, verified and warm."""

    bundle: Bundle
    sha256: str  # of its manifest.json, as the pointer of a registry names it


@dataclass(frozen=True, slots=True)
class BundleSource:
    """Loads what is to be served; every call may wait for a disk or a network, so none is for the event loop."""

    folder: Path  # of the bundle where there is no champion
    threads: int = 1
    registry: Registry | None = None
    key: PublicKey | None = None  # whose signature every bundle must bear

    def champion(self) -> Promotion | None:
        """The promotion to follow; None without a registry, and where it has no champion yet.

        Raises:
            RegistryError: the registry cannot be read.
        """
        return self.registry.champion(_MODEL) if self.registry else None

    def shadow(self) -> Shadow | None:
        """The version that scores beside the champion; None without a registry, and where it names none.

        Raises:
            RegistryError: the registry cannot be read.
        """
        return self.registry.shadow(_MODEL) if self.registry else None

    def load(self, pointer: Promotion | Shadow | None, beside: Bundle | None = None) -> Served:
        """Verify, load and warm up the bundle of a pointer, or the folder's; it shares what it can with the one `beside` it.

        Raises:
            BundleError: a file is missing, changed, unreadable or not signed; the message names it.
        """
        place = self.registry.folder(pointer.model) if pointer and self.registry else self.folder
        found = trusted_manifest(place, self.key)
        if pointer and found.sha256 != pointer.manifest_sha256:
            message = f"{place}/manifest.json is not the one that the registry points to: restore it, or promote the bundle again"
            raise BundleError(message, path=str(place))
        bundle = Bundle.load(place, self.threads, beside)
        if bundle.manifest != found.manifest:
            raise BundleError(f"{place}/manifest.json was changed while it was loaded", path=str(place))
        return Served(bundle, found.sha256)


def bundle_source(settings: Settings) -> BundleSource:
    """What the settings name.

    Raises:
        RegistryError: the registry is no local folder, or there is no public key in the file.
    """
    key = read_public(settings.models_public_key) if settings.models_public_key else None
    registry = Registry(settings.registry, key) if settings.registry else None
    return BundleSource(settings.bundle or shipped_bundle(), settings.classify_threads, registry, key)
