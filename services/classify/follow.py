"""`Follower`: looks at a pointer of the registry again and again, with a thread of its own for what it finds."""

from __future__ import annotations

from mailweir.services.app import Part
from mailweir.services.classify.thread import Thread
from mailweir.services.classify.tries import Tries

__all__ = ["Follower"]


class Follower(Part):
    """What the champion's and the shadow's followers have in common. `_look` raises nothing: whatever goes wrong, mail goes on."""

    abstract = True

    def __init__(self, name: str, poll_ms: int) -> None:
        super().__init__()
        self._poll_s = poll_ms / 1_000
        self._tries = Tries(self._poll_s)
        self._thread = Thread(name)  # not the model's: mail is decided while this one loads

    async def on_start(self) -> None:
        """Begin to follow."""
        self.add_future(self._follow())

    async def on_stop(self) -> None:
        """Let the thread go; what it loads is dropped."""
        self._thread.leave()

    async def _follow(self) -> None:
        while not self.should_stop:
            await self._look()
            await self.sleep(self._poll_s)

    async def _look(self) -> None:
        raise NotImplementedError
