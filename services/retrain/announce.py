"""A change of the champion as the event that tells of it; the registry's pointer is the truth, and this a hint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mailweir.schemas.events import ModelPromoted
from mailweir.schemas.headers import child_traceparent, event_headers
from mailweir.schemas.ids import digest
from mailweir.schemas.topics import MODELS
from mailweir.services.stream import Outgoing

if TYPE_CHECKING:
    from mailweir.models.registry import Promotion

__all__ = ["promotion_record"]


def promotion_record(made: Promotion, folder: Path, prefix: str) -> Outgoing:
    """The record for `mail.models`; `folder` is where the champion's bundle lies."""
    event = ModelPromoted(
        model=made.model,
        previous=made.previous,
        uri=folder.absolute().as_uri(),
        manifest_sha256=made.manifest_sha256,
        cause=made.cause,
        promoted_at=made.at,
    )
    trace = child_traceparent(digest("promotion", event.event_id)[:32], "models", event.event_id)
    headers = event_headers(event, "models", trace)
    return Outgoing(MODELS.full_name(prefix), made.model.name.encode(), event.encode(), headers)
