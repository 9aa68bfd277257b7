"""Events as version 1 wrote them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mailweir.schemas.events import (
    DeadLetter,
    Decision,
    Email,
    Event,
    Feedback,
    ModelPromoted,
    RawEmail,
    RetrainFinished,
    RetrainRequested,
    ReviewAsked,
    ShardClosed,
)

GOLDEN = Path(__file__).parent / "golden" / "v1"


def golden(name: str) -> dict[str, Any]:
    """A golden file, parsed."""
    data: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    return data


def changed(name: str, **fields: Any) -> bytes:
    """A golden event with other values."""
    return json.dumps(golden(name) | fields).encode()


EVENTS: dict[str, type[Event]] = {
    "raw_email": RawEmail,
    "email": Email,
    "decision": Decision,
    "review_asked": ReviewAsked,
    "feedback": Feedback,
    "shard_closed": ShardClosed,
    "retrain_requested": RetrainRequested,
    "retrain_finished": RetrainFinished,
    "model_promoted": ModelPromoted,
    "dead_letter": DeadLetter,
}


# The public example of a decision: keys in this order.
