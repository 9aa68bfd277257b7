"""The request for a run: its id follows from its content, so that asked for again after a crash it is the same run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mailweir.schemas.errors import BundleError
from mailweir.schemas.events import ModelRef, RetrainRequested, ShardClosed, ShardRef, TaxonomyRef
from mailweir.schemas.headers import event_headers
from mailweir.schemas.ids import digest
from mailweir.schemas.topics import RETRAIN
from mailweir.services.runs.contexts import request_context
from mailweir.services.settings import Settings
from mailweir.services.stream import Outgoing

if TYPE_CHECKING:
    from mailweir.models.registry import Registry
    from mailweir.schemas.manifest import Manifest

__all__ = ["MODEL", "Champion", "configured_champion", "configured_registry", "record_of", "request_run", "run_id"]

MODEL = "email"
"""The model that people's words are about."""


@dataclass(frozen=True, slots=True)
class Champion:
    """The model to beat, and its label space."""

    model: ModelRef
    taxonomy: TaxonomyRef


def configured_champion(settings: Settings) -> Champion:
    """What workers with these settings serve: the registry's champion, else their bundle.

    Raises:
        RegistryError: the registry cannot be read.
        BundleError: there is no readable manifest, or not the one that was promoted.
    """
    manifest = _promoted(configured_registry(settings)) or _bundle(settings)
    return Champion(manifest.model, manifest.taxonomy)


def configured_registry(settings: Settings) -> Registry | None:
    """The registry that the settings name; with their key it gives out signed bundles only.

    Raises:
        RegistryError: it is no local folder, or there is no public key in the file.
    """
    from mailweir.models.registry import Registry, read_public

    if settings.registry is None:
        return None
    return Registry(settings.registry, read_public(settings.models_public_key) if settings.models_public_key else None)


def _promoted(registry: Registry | None) -> Manifest | None:
    """Of the champion; None without a registry, and before its first promotion."""
    from mailweir.models.registry import trusted_manifest

    champion = registry.champion(MODEL) if registry else None
    if registry is None or champion is None:
        return None
    folder = registry.folder(champion.model)
    found = trusted_manifest(folder, registry.key)
    if found.sha256 != champion.manifest_sha256:
        message = f"{folder}/manifest.json is not the one that was promoted: restore it, or promote the bundle again"
        raise BundleError(message, path=str(folder))
    return found.manifest


def _bundle(settings: Settings) -> Manifest:
    from mailweir.models.runtime import shipped_bundle
    from mailweir.models.runtime.integrity import read_manifest

    return read_manifest(Path(settings.bundle or shipped_bundle()))


def run_id(champion: Champion, shards: Sequence[ShardRef], after: str, start: ModelRef | None = None) -> str:
    """Id of a run: what is beaten, learned from and continued, and which run (id) came before. Not who asked, when or why."""
    parts = [f"{shard.shard_id}:{shard.sha256}" for shard in shards]
    parts += [f"start:{start.name}:{start.version}"] if start else []
    model, taxonomy = champion.model, champion.taxonomy
    return digest("run", model.name, model.version, taxonomy.name, str(taxonomy.version), after, *parts)


def request_run(
    champion: Champion,
    shards: Sequence[ShardClosed],
    after: str,
    cause: str,
    by: str,
    at: datetime,
    start: ModelRef | None = None,
) -> RetrainRequested:
    """The event; `after` is the id of the last run, empty for the first; `start` what it continues, if not the champion."""
    named = tuple(ShardRef(shard_id=shard.shard_id, sha256=shard.sha256) for shard in shards)
    return RetrainRequested(
        run_id=run_id(champion, named, after, start),
        shards=named,
        champion=champion.model,
        taxonomy=champion.taxonomy,
        cause=cause,
        requested_by=by,
        requested_at=at,
        start=start,
    )


def record_of(request: RetrainRequested, prefix: str, *, sampled: bool = False) -> Outgoing:
    """The record that asks for it."""
    headers = event_headers(request, "retrain", request_context(request.run_id, sampled=sampled))
    return Outgoing(RETRAIN.full_name(prefix), request.run_id.encode(), request.encode(), headers)
