"""Rows to evaluate on, and files of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

ROW: dict[str, Any] = {
    "id": "a-1",
    "language": "en",
    "subject": "PO 12345678",
    "from": "Ann <ann@example.org>",
    "to": ["sales@example.com"],
    "date": "2026-03-02T09:14:00+00:00",
    "body": "please book 12 pcs",
    "mailbox": "sales",
    "labels": {
        "category": "work",
        "intent": "purchase_order",
        "action": "reply_later",
        "priority": None,
        "workflow_state": "start",
        "next_actions": ["validate_po"],
    },
    "entities": [{"type": "po_number", "text": "12345678"}],
}


def lines(folder: Path, *rows: object) -> Path:
    """A file of rows; bytes are written as they are."""
    path = folder / "rows.jsonl"
    path.write_bytes(b"".join((row if isinstance(row, bytes) else orjson.dumps(row)) + b"\n" for row in rows))
    return path
