"""The bundles that decisions name, found in the registry or where workers without one have theirs."""

from __future__ import annotations

from pathlib import Path

from mailweir.models.registry import trusted_manifest
from mailweir.models.runtime import Bundle
from mailweir.schemas.errors import BundleError, RegistryError
from mailweir.schemas.events import ModelRef
from mailweir.services.classify.source import BundleSource

__all__ = ["Shelf"]

_HELD = 2  # bundles in memory: about a promotion decisions of two versions lie side by side


class Shelf:
    """Loads a bundle when a decision names it; the last two stay. Blocking."""

    def __init__(self, source: BundleSource) -> None:
        self._source = source
        self._held: dict[ModelRef, Bundle] = {}
        self._gone: dict[ModelRef, BundleError] = {}

    def get(self, model: ModelRef) -> Bundle:
        """The bundle of this name and version.

        Raises:
            BundleError: it is gone, changed, or not signed where a key is set; asked again it is told again, not looked for.
        """
        if model in self._gone:
            raise self._gone[model]
        bundle = self._held.pop(model, None) or self._loaded(model)
        self._held[model] = bundle  # the latest asked for is the last to go
        return bundle

    def _loaded(self, model: ModelRef) -> Bundle:
        while len(self._held) >= _HELD:  # before the next one comes
            del self._held[next(iter(self._held))]
        try:
            return self._load(model)
        except BundleError as error:
            self._gone[model] = error
            raise

    def _load(self, model: ModelRef) -> Bundle:
        folder = self._registered(model) or self._configured(model)
        if folder is None:
            known = f"the registry {self._source.registry.root}" if self._source.registry else "a registry"
            message = (
                f"bundle {model.name} {model.version} is gone: neither in {known} nor in {self._source.folder}; "
                "`mailweir models add` brings it back, or MAILWEIR_BUNDLE names its folder"
            )
            raise BundleError(message, model=model.name, version=model.version)
        return Bundle.load(folder, self._source.threads, next(reversed(self._held.values()), None))

    def _registered(self, model: ModelRef) -> Path | None:
        """Its folder in the registry; where it was ever promoted, its manifest must still be the one that was."""
        registry = self._source.registry
        if registry is None:
            return None
        try:
            if model.version not in registry.versions(model.name):
                return None
            found = trusted_manifest(registry.entry(model.name, model.version).folder, registry.key)
            promoted = {made.manifest_sha256 for made in registry.history(model.name) if made.model == model}
        except RegistryError as error:
            raise BundleError(error.message, model=model.name, version=model.version) from error
        folder = registry.folder(model)
        if promoted and found.sha256 not in promoted:
            raise BundleError(f"{folder}/manifest.json is not the one that was promoted: restore it", path=str(folder))
        return folder

    def _configured(self, model: ModelRef) -> Path | None:
        folder = self._source.folder
        return folder if trusted_manifest(folder, self._source.key).manifest.model == model else None
