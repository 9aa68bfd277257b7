"""Annotated rows of mail as a file holds them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LABELS: dict[str, Any] = {
    "category": "work",
    "intent": "purchase_order",
    "action": "reply_later",
    "priority": "normal",
    "workflow_state": "start",
    "next_actions": ["validate_po"],
}


def written(folder: Path, rows: Sequence[dict[str, Any]], name: str = "rows.jsonl") -> Path:
    (folder / name).write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return folder / name
