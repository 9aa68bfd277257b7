"""Which bundles have learned from a person's words, and with which one a rebuild without them begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mailweir.models.feedback import LearnedFrom
from mailweir.models.registry import Registry, Trusted, trusted_manifest
from mailweir.schemas.events import ModelRef
from mailweir.services.feedback.holdings import Holdings

__all__ = ["BundleUse", "Known", "bundle_uses", "clean_start", "known_bundles"]


@dataclass(frozen=True, slots=True)
class Known:
    """The bundles that there are, and which of them serve."""

    bundles: Mapping[ModelRef, Trusted]
    champions: frozenset[ModelRef]
    past: tuple[ModelRef, ...]  # champions of all times, newest first, then what serves without a registry


@dataclass(frozen=True, slots=True)
class BundleUse:
    """What one bundle has of a person's words."""

    model: ModelRef
    manifest_sha256: str
    champion: bool
    shards: tuple[str, ...]  # ids of those that its run was given and that hold words of the person
    used: int | None  # rows of the person's words; None: its manifest does not record which it used
    inherited: str  # why what it continues is not free of them; empty: it is

    @property
    def free(self) -> bool:
        """True if it is shown that no word of the person went into it, be it through what it continues."""
        return not (self.used or (self.used is None and self.shards) or self.inherited)

    @property
    def why(self) -> str:
        """What speaks against it, in words; empty where it is free."""
        if self.used:
            return f"was fitted on {self.used} rows of these words"
        if self.used is None and self.shards:
            return f"was given {len(self.shards)} shards with these words, and does not record which words it used"
        return self.inherited


def known_bundles(registry: Registry | None, served: Path) -> Known:
    """All versions of a registry and the bundle in the folder `served`, which serves where the registry has no champion.

    Raises:
        RegistryError: the registry cannot be read.
        BundleError: a manifest is broken, or a champion's is not signed where the registry has a key.
    """
    default = trusted_manifest(served)
    own = default.manifest.model
    found = {own: default}
    past: list[ModelRef] = []
    champions: set[ModelRef] = set()
    if registry is not None:
        for name in registry.names():
            entries = [registry.entry(name, version) for version in registry.versions(name)]
            found |= {entry.model: entry.trusted for entry in entries}
            promoted = [promotion.model for promotion in reversed(registry.history(name))]
            past += promoted
            champions |= set(promoted[:1])
        for champion in champions:
            trusted_manifest(registry.folder(champion), registry.key)
    if own.name not in {champion.name for champion in champions}:
        champions.add(own)
    return Known(found, frozenset(champions), tuple(dict.fromkeys([*past, own])))


def bundle_uses(known: Known, held: Holdings) -> list[BundleUse]:
    """Of every bundle, by name and version, what it has of the person's words. Pure.

    Raises:
        BundleError: naming the bundle whose manifest tells in an unknown form what it learned from.
    """
    learned = {model: LearnedFrom.of(trusted.manifest) for model, trusted in known.bundles.items()}
    words = {row.feedback_id for row in held.words}
    shards = {file.name for file in held.shards if file.words}

    def own(model: ModelRef) -> BundleUse:
        given = tuple(sorted({one.shard_id for one in learned[model].shards} & shards))
        sha256 = known.bundles[model].sha256
        return BundleUse(model, sha256, model in known.champions, given, learned[model].used(words), "")

    def with_inheritance(model: ModelRef) -> BundleUse:
        one = own(model)
        for start in _ancestors(model, learned):
            if start not in learned:
                told = f"continues {start.version}, which is not in the registry: what that learned cannot be shown"
            elif not own(start).free:
                told = f"continues {start.version}, which {own(start).why}"
            else:
                continue
            return BundleUse(model, one.manifest_sha256, one.champion, one.shards, one.used, told)
        return one

    return [with_inheritance(model) for model in sorted(learned, key=lambda one: (one.name, one.version))]


def clean_start(known: Known, uses: Sequence[BundleUse], name: str) -> ModelRef | None:
    """The latest champion of that model that is free of the person's words; None if none ever was. Pure."""
    free = {use.model for use in uses if use.free}
    return next((model for model in known.past if model.name == name and model in free), None)


def _ancestors(model: ModelRef, learned: Mapping[ModelRef, LearnedFrom]) -> Iterator[ModelRef]:
    """The bundle whose weights a bundle's training went on from, and that one's in turn, as far as they are known."""
    seen = {model}
    here = learned[model].start
    while here is not None and here not in seen:
        yield here
        seen.add(here)
        here = learned[here].start if here in learned else None
