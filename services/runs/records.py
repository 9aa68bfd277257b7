"""The records that tell how a run ended, and which model is champion since."""

from __future__ import annotations

from pathlib import Path

from mailweir.models.registry import Promotion
from mailweir.schemas.events import ModelPromoted, RetrainFinished
from mailweir.schemas.headers import child_traceparent, event_headers
from mailweir.schemas.ids import digest, trace_id
from mailweir.schemas.topics import MODELS, RETRAIN
from mailweir.services.runs.contexts import end_context
from mailweir.services.stream import Outgoing

__all__ = ["finished_record", "promotion_record"]


def finished_record(end: RetrainFinished, prefix: str, *, sampled: bool = False) -> Outgoing:
    """For `mail.retrain`, beside the request of the same run."""
    trace = end_context(end.run_id, sampled=sampled)
    return Outgoing(RETRAIN.full_name(prefix), end.run_id.encode(), end.encode(), event_headers(end, "trainer", trace))


def promotion_record(made: Promotion, folder: Path, prefix: str) -> Outgoing:
    """For `mail.models`, a hint: the registry's pointer is the truth. `folder` is where the champion's bundle lies."""
    event = ModelPromoted(
        model=made.model,
        previous=made.previous,
        uri=folder.absolute().as_uri(),
        manifest_sha256=made.manifest_sha256,
        cause=made.cause,
        promoted_at=made.at,
    )
    trace = child_traceparent(trace_id(digest("promotion", event.event_id)), "models", event.event_id)
    headers = event_headers(event, "models", trace)
    return Outgoing(MODELS.full_name(prefix), made.model.name.encode(), event.encode(), headers)
