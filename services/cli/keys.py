"""Single keys from a terminal, without Enter, while the event loop goes on."""

from __future__ import annotations

import asyncio
import codecs
import os
import termios
import tty
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

__all__ = ["Keys"]

_READ = 64  # bytes: a key that sends several, such as an arrow, comes in one piece
_ESCAPE = "\x1b"


class Keys:
    """Keys of the terminal behind a file descriptor; its mode is put back at the end, whatever happens."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pressed: asyncio.Queue[str] = asyncio.Queue()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._before: list[Any] = []

    async def __aenter__(self) -> Self:
        self._before = termios.tcgetattr(self._descriptor)
        tty.setcbreak(self._descriptor)  # Ctrl-C still interrupts
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        with suppress(termios.error):  # the terminal is gone, and its mode with it
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    async def next(self) -> str:
        """The next key; empty once the terminal is gone."""
        return await self._pressed.get()

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, _READ)
        except OSError:  # the other end of a pseudo-terminal was closed
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            self._pressed.put_nowait("")
            return
        text = self._decoder.decode(data)
        if text.startswith(_ESCAPE) and len(text) > 1:  # an arrow or a function key: none of ours
            return
        for sign in text:
            self._pressed.put_nowait(sign)
