"""The records that tell how a run ended, and which model is champion since."""

from __future__ import annotations

from pathlib import Path

from mailweir.models.registry import Promotion, Registry
from mailweir.schemas.events import ModelPromoted, RetrainFinished
from mailweir.schemas.headers import child_traceparent, event_headers
from mailweir.schemas.ids import digest, trace_id
from mailweir.schemas.topics import MODELS, RETRAIN
from mailweir.services.stream import Outgoing

__all__ = ["finished_record", "promoted_record"]


def finished_record(end: RetrainFinished, prefix: str) -> Outgoing:
    """For `mail.retrain`, beside the request of the same run."""
    trace = child_traceparent(trace_id(end.run_id), "trainer", end.event_id)
    return Outgoing(RETRAIN.full_name(prefix), end.run_id.encode(), end.encode(), event_headers(end, "trainer", trace))


def promoted_record(made: Promotion, registry: Path, prefix: str) -> Outgoing:
    """For `mail.models`; told twice it is the same event."""
    event = ModelPromoted(
        model=made.model,
        previous=made.previous,
        uri=Registry(registry).folder(made.model).absolute().as_uri(),
        manifest_sha256=made.manifest_sha256,
        cause=made.cause,
        promoted_at=made.at,
    )
    trace = child_traceparent(digest("promotion", event.event_id)[:32], "models", event.event_id)
    headers = event_headers(event, "models", trace)
    return Outgoing(MODELS.full_name(prefix), made.model.name.encode(), event.encode(), headers)
