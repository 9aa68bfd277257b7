"""The learning loop from end to end, as the demo shows it and a test walks it."""

from __future__ import annotations

from mailweir.services.cli.loop.figures import LoopFigures
from mailweir.services.cli.loop.walk import LoopWalk

__all__ = ["LoopFigures", "LoopWalk"]
