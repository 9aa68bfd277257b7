"""`Registry`: a folder of models.

    NAME/VERSION/         a bundle, immutable: manifest.json, signature.json, graphs, tokenizer
    NAME/champion.json    the version that workers serve
    NAME/history.jsonl    who promoted or rolled back what, when and why
    NAME/shadow.json      the version that scores a share of the mail beside the champion, if there is one

Every process that sees the folder may read it; promotions are ordered by a lock file and name the champion that they expect.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mailweir.models.registry.intake import take_in
from mailweir.models.registry.keys import PrivateKey, PublicKey
from mailweir.models.registry.pointer import (
    Promotion,
    before_champion,
    demoted_versions,
    read_champion,
    read_history,
    swap_champion,
)
from mailweir.models.registry.shadow import Shadow, read_shadow, remove_shadow, write_shadow
from mailweir.models.registry.signature import Signature, read_signature
from mailweir.models.registry.verify import Trusted, trusted_manifest, verify_bundle
from mailweir.models.runtime.integrity import MANIFEST
from mailweir.schemas.errors import ChampionChanged, RegistryError
from mailweir.schemas.events import ModelRef, utc_now

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Entry:
    """One version, as its files say; nothing is verified."""

    folder: Path
    trusted: Trusted
    signature: Signature | None

    @property
    def model(self) -> ModelRef:
        """Name and version."""
        return self.trusted.manifest.model


class Registry:
    """The registry in the folder `root`; with `key` it gives out bundles only that the owner of the key signed."""

    def __init__(self, root: Path, key: PublicKey | None = None) -> None:
        if "://" in str(root) or re.match(r"[a-z0-9]+:/", str(root)):
            raise RegistryError(f"{root} is no local folder: mount the store and name the folder", path=str(root))
        self.root = root
        self.key = key

    def add(self, bundle: Path, sign_with: PrivateKey | None = None) -> tuple[Entry, bool]:
        """Take a trained bundle in; False beside the entry if it was there already.

        Raises:
            BundleError: it is broken.
            RegistryError: another bundle has its version, or the registry cannot be written.
        """
        model = trusted_manifest(bundle).manifest.model
        target = self._place(model.name, model.version)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RegistryError(f"{target.parent}: {error.strerror}: name another folder", path=str(target)) from error
        new = take_in(bundle, target, sign_with)
        return self.entry(model.name, model.version), new

    def names(self) -> list[str]:
        """The models that have a version here, sorted.

        Raises:
            RegistryError: the registry is no folder that can be read.
        """
        return sorted(path.name for path in _folders(self.root) if any(_versions(path)))

    def versions(self, name: str) -> list[str]:
        """The versions of a model, sorted by name; none if the registry has no such model.

        Raises:
            RegistryError: the registry is no folder that can be read.
        """
        _folders(self.root)
        return [path.name for path in _versions(self._model(name))]

    def entry(self, name: str, version: str) -> Entry:
        """One version as its files say.

        Raises:
            RegistryError: there is no such version; the message names those that are there.
            BundleError: its manifest is broken, or is that of another.
        """
        folder = self._place(name, version)
        if not folder.is_dir():
            there = ", ".join(self.versions(name)) or "none"
            message = f"{self.root} has no version {version} of {name}; there are: {there}"
            raise RegistryError(message, name=name, version=version)
        found = trusted_manifest(folder)
        if found.manifest.model != ModelRef(name=name, version=version):
            model = found.manifest.model
            message = f"{folder / MANIFEST} is that of {model.name} {model.version}: a version lies under its own name"
            raise RegistryError(message, path=str(folder))
        return Entry(folder, found, read_signature(folder))

    def champion(self, name: str) -> Promotion | None:
        """The promotion that made the champion; None if the model has none yet.

        Raises:
            RegistryError: the pointer, or the registry, cannot be read.
        """
        found = read_champion(self._model(name))
        if found is None:
            _folders(self.root)
        return found

    def history(self, name: str) -> list[Promotion]:
        """Every promotion and rollback of a model, oldest first."""
        return read_history(self._model(name))

    def verify(self, name: str, version: str) -> Trusted:
        """The version, whole, and signed where the registry has a key.

        Raises:
            RegistryError: there is no such version.
            BundleError: naming the file that is missing, changed or not signed.
        """
        return verify_bundle(self.entry(name, version).folder, self.key)

    def before(self, name: str) -> Promotion | None:
        """The entry of the version that a rollback returns to; None if there was none before the champion."""
        return before_champion(self.history(name))

    def promote(self, model: ModelRef, *, expected: str | None, cause: str, by: str, again: bool = False) -> Promotion:
        """Make a version champion in place of the version `expected` (None: there must be no champion yet).

        A version that was demoted comes back only `again`, which is a person's word: the loop would promote it for ever.

        Raises:
            ChampionChanged: the champion is another, or the version was demoted and is not wanted again.
            RegistryError: there is no such version, or it is the champion already.
            BundleError: it is not whole, or not signed where the registry has a key.
        """
        sha256 = self.verify(model.name, model.version).sha256

        def promotion(number: int, champion: Promotion | None) -> Promotion:
            if champion and champion.model == model:
                raise RegistryError(f"{model.version} is the champion of {model.name} already", version=model.version)
            if not again and model.version in demoted_versions(self.history(model.name)):
                message = f"{model.version} was demoted: only a person brings it back, mailweir models promote"
                raise ChampionChanged(message, version=model.version)
            return Promotion(
                number=number,
                action="promoted",
                model=model,
                previous=champion.model if champion else None,
                manifest_sha256=sha256,
                cause=cause,
                by=by,
                at=utc_now(),
            )

        return swap_champion(self._model(model.name), expected, promotion)

    def rollback(self, name: str, *, expected: str, cause: str, by: str) -> Promotion:
        """Demote the champion `expected`: the one before it is champion again.

        Raises:
            ChampionChanged: the champion is another.
            RegistryError: there was none before it.
            BundleError: the one before is not whole, or not signed where the registry has a key.
        """

        def promotion(number: int, champion: Promotion | None) -> Promotion:
            back = self.before(name)
            if champion is None or back is None:
                message = f"{name} had no champion before {expected}: promote the version that you want instead"
                raise RegistryError(message, name=name)
            return Promotion(
                number=number,
                action="rolled_back",
                model=back.model,
                previous=champion.model,
                manifest_sha256=self.verify(name, back.model.version).sha256,
                cause=cause,
                by=by,
                at=utc_now(),
            )

        _folders(self._model(name))
        return swap_champion(self._model(name), expected, promotion)

    def shadow(self, name: str) -> Shadow | None:
        """The version that scores beside the champion; None if there is none.

        Raises:
            RegistryError: the pointer cannot be read.
        """
        return read_shadow(self._model(name))

    def set_shadow(self, model: ModelRef, *, share: float, by: str) -> Shadow:
        """Let a version score this share of the mail beside the champion, in place of the one that did.

        Raises:
            RegistryError: there is no such version, or it is the champion.
            BundleError: it is not whole, or not signed where the registry has a key.
        """
        sha256 = self.verify(model.name, model.version).sha256

        def pointer() -> Shadow:
            champion = self.champion(model.name)
            if champion and champion.model == model:
                message = f"{model.version} is the champion of {model.name}: a shadow is another version"
                raise RegistryError(message, version=model.version)
            return Shadow(model=model, manifest_sha256=sha256, share=share, by=by, at=utc_now())

        return write_shadow(self._model(model.name), pointer)

    def end_shadow(self, name: str) -> bool:
        """Let no version score beside the champion; False if none did."""
        _folders(self._model(name))
        return remove_shadow(self._model(name))

    def folder(self, model: ModelRef) -> Path:
        """Where a version lies, or would."""
        return self._place(model.name, model.version)

    def _model(self, name: str) -> Path:
        return self.root / _plain(name)

    def _place(self, name: str, version: str) -> Path:
        return self._model(name) / _plain(version)


def _plain(part: str) -> str:
    if not _NAME.fullmatch(part):
        message = f"{part!r} is no name of a model or version: letters, digits, dots, dashes, underscores"
        raise RegistryError(message, name=part)
    return part


def _folders(root: Path) -> list[Path]:
    try:
        return [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except OSError as error:
        message = f"{root}: {error.strerror}: MAILWEIR_REGISTRY names the folder, `mailweir models add` makes it"
        raise RegistryError(message, path=str(root)) from error


def _versions(folder: Path) -> list[Path]:
    found = _folders(folder) if folder.is_dir() else []
    return sorted(path for path in found if (path / MANIFEST).is_file())
