"""Listening to a client of aiokafka: when the broker last answered it, and what has gone wrong since.

A consumer whose broker is gone raises nothing: it tries again behind our back, for ever, and its last words on the cause go
to its log only.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from aiokafka.errors import KafkaError, NodeNotReadyError, SaslAuthenticationFailed

from mailweir.services.stream.transport import Contact

__all__ = ["Line"]

_LATE_SECONDS = 5.0
_NO_CONNECTION = "Unable connect to node with id %s: %s"


class Line(logging.Handler):
    """The requests of one client, from its making to `close`."""

    def __init__(self, client: Any, heartbeat_s: float) -> None:
        super().__init__(logging.ERROR)
        self._patience_s = heartbeat_s + _LATE_SECONDS  # a client with nothing to read still sends heartbeats
        self._send = client.send
        self._answered_at = time.monotonic()
        self._trouble: BaseException | None = None
        client.send = self._ask
        self._connections = logging.getLogger("aiokafka")
        self._connections.addHandler(self)

    def close(self) -> None:
        """Stop listening."""
        self._connections.removeHandler(self)

    def contact(self) -> Contact:
        """What was heard."""
        return Contact(
            answered_at=self._answered_at,
            patience_s=self._patience_s,
            trouble=str(self._trouble) or type(self._trouble).__name__ if self._trouble else "",
            refused=isinstance(self._trouble, SaslAuthenticationFailed),
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Take the cause from the client's log: whoever sent only learns that there is no connection."""
        if (
            record.msg == _NO_CONNECTION
            and isinstance(record.args, tuple)
            and isinstance(record.args[-1], BaseException)
        ):
            self._trouble = record.args[-1]

    async def _ask(self, *request: Any, **options: Any) -> Any:
        try:
            answer = await self._send(*request, **options)
        except (KafkaError, OSError) as error:
            if self._trouble is None or not isinstance(error, NodeNotReadyError):
                self._trouble = error
            raise
        self._answered_at, self._trouble = time.monotonic(), None
        return answer
