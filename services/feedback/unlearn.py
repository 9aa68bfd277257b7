"""Which bundles have learned from a person's words, and with which one a rebuild without them begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mailweir.models.feedback import LearnedFrom
from mailweir.models.registry import Promotion, Registry, Trusted, trusted_manifest
from mailweir.schemas.errors import BundleError
from mailweir.schemas.events import ModelRef
from mailweir.services.feedback.holdings import Holdings

__all__ = ["BundleUse", "Known", "bundle_uses", "clean_start", "known_bundles"]


@dataclass(frozen=True, slots=True)
class Known:
    """The bundles that there are, and which of them serve."""

    bundles: Mapping[ModelRef, Trusted]
    champions: frozenset[ModelRef]
    past: tuple[ModelRef, ...]  # champions of all times, newest first, then what serves without a registry
    before: Mapping[
        ModelRef, ModelRef
    ]  # champion before each: what a run continues from unless a manifest says otherwise


@dataclass(frozen=True, slots=True)
class BundleUse:
    """What one bundle has of a person's words."""

    model: ModelRef
    manifest_sha256: str
    champion: bool
    shards: tuple[str, ...]  # ids of those that its run was given and that hold words of the person
    used: int | None  # of the person's words; None: its manifest does not record which words it used
    inherited: str  # why what it continues is not free of them; empty: it is

    @property
    def free(self) -> bool:
        """True if it is shown that no word of the person went into it, be it through what it continues."""
        return not (self.used or (self.used is None and self.shards) or self.inherited)

    @property
    def why(self) -> str:
        """What speaks against it, in words; empty where it is free."""
        if self.used:
            return f"learned from {self.used} of these words"
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
    entries = (
        [registry.entry(name, one) for name in registry.names() for one in registry.versions(name)] if registry else []
    )
    histories = [registry.history(name) for name in registry.names()] if registry else []
    champions = {history[-1].model for history in histories if history}
    if registry is not None:
        for model in champions:
            trusted_manifest(registry.folder(model), registry.key)
    if own.name not in {model.name for model in champions}:
        champions.add(own)
    promotions: list[Promotion] = [one for history in histories for one in history]
    return Known(
        {own: default} | {entry.model: entry.trusted for entry in entries},
        frozenset(champions),
        tuple(dict.fromkeys([*(one.model for one in reversed(promotions)), own])),
        {one.model: one.previous or own for one in reversed(promotions) if one.action == "promoted"},
    )


def bundle_uses(known: Known, held: Holdings) -> list[BundleUse]:
    """Of every bundle, by name and version, what it has of the person's words. Pure.

    Raises:
        BundleError: naming the bundle whose manifest tells in no known form what it learned from.
    """
    learned = {model: _learned(model, trusted) for model, trusted in known.bundles.items()}
    words = {row.feedback_id for row in held.words}
    shards = {file.name for file in held.shards if file.words}

    def own(model: ModelRef) -> BundleUse:
        given = tuple(sorted({one.shard_id for one in learned[model].shards} & shards))
        sha256 = known.bundles[model].sha256
        return BundleUse(model, sha256, model in known.champions, given, learned[model].used(words), "")

    def with_inheritance(model: ModelRef) -> BundleUse:
        one = own(model)
        for start in _ancestors(model, learned, known.before):
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


def _ancestors(
    model: ModelRef, learned: Mapping[ModelRef, LearnedFrom], before: Mapping[ModelRef, ModelRef]
) -> Iterator[ModelRef]:
    """What a bundle continues, and that one in turn; one that learned from no feedback was made from the corpus alone."""
    seen = {model}
    here: ModelRef | None = model
    while here is not None and here in learned:
        of = learned[here]
        here = (of.start or before.get(here)) if of.shards or of.start else None
        if here is None or here in seen:
            return
        seen.add(here)
        yield here


def _learned(model: ModelRef, trusted: Trusted) -> LearnedFrom:
    try:
        return LearnedFrom.of(trusted.manifest.data)
    except BundleError as error:
        raise BundleError(f"{model.name} {model.version}: {error.message}", version=model.version) from error
