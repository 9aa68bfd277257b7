"""How long to wait before the next try of something that is away."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

__all__ = ["Backoff"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """0.1 s doubling up to the limit; half of it at random, so that a fleet does not knock all at once."""

    longest_ms: int

    async def pause(self, tries: int) -> None:
        """Wait before try number `tries` + 1."""
        longest = min(0.1 * 2 ** min(tries, 16), self.longest_ms / 1_000)
        await asyncio.sleep(random.uniform(longest / 2, longest))  # noqa: S311 - spreads load, guards nothing
