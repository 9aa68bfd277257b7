"""The request for a run: its id follows from its content, so that asked for again after a crash it is the same run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mailweir.schemas.events import ModelRef, RetrainRequested, ShardClosed, ShardRef, TaxonomyRef
from mailweir.schemas.headers import child_traceparent, event_headers
from mailweir.schemas.ids import digest, trace_id
from mailweir.schemas.topics import RETRAIN
from mailweir.services.settings import Settings
from mailweir.services.stream import Outgoing

__all__ = ["Champion", "configured_champion", "record_of", "request_run", "run_id"]


@dataclass(frozen=True, slots=True)
class Champion:
    """The model to beat, and its label space."""

    model: ModelRef
    taxonomy: TaxonomyRef


def configured_champion(settings: Settings) -> Champion:
    """The bundle that workers with these settings serve.

    Raises:
        BundleError: it has no readable manifest.
    """
    from mailweir.models.runtime import shipped_bundle
    from mailweir.models.runtime.integrity import read_manifest

    manifest = read_manifest(Path(settings.bundle or shipped_bundle()))
    return Champion(manifest.model, manifest.taxonomy)


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


def record_of(request: RetrainRequested, prefix: str) -> Outgoing:
    """The record that asks for it."""
    trace = trace_id(request.run_id)
    headers = event_headers(request, "retrain", child_traceparent(trace, "retrain", request.run_id))
    return Outgoing(RETRAIN.full_name(prefix), request.run_id.encode(), request.encode(), headers)
