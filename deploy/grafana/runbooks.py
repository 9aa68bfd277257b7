"""Which panel belongs to which alert: the page of `deploy/runbooks` that its link opens."""

from __future__ import annotations

__all__ = ["RUNBOOKS"]

RUNBOOKS: dict[str, str] = {}
"""`dashboard: title of the panel` → the page's name without its suffix."""
