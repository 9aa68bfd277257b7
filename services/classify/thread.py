"""A thread beside the event loop, for what would hold it up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

__all__ = ["Thread"]

R = TypeVar("R")


class Thread:
    """One thread, which does one thing after the other."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def do(self, call: Callable[..., R], *args: Any) -> R:
        """What `call` gives, when its turn has come."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *args)

    def leave(self) -> None:
        """Drop what waits; nobody waits for what is being done."""
        self._pool.shutdown(wait=False, cancel_futures=True)
