"""Events as version 1 wrote them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "golden" / "v1"


def golden(name: str) -> dict[str, Any]:
    """A golden file, parsed."""
    data: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    return data


def changed(name: str, **fields: Any) -> bytes:
    """A golden event with other values."""
    return json.dumps(golden(name) | fields).encode()
