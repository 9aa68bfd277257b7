"""What cannot be loaded is tried again, ever more rarely, and said once."""

from __future__ import annotations

import time
from dataclasses import dataclass

from mailweir.schemas.errors import MailweirError

__all__ = ["Failure", "Tries"]

_LONGEST_PAUSE_S = 60.0  # between two tries of a bundle that does not load: hashing it over and over costs a disk


@dataclass(frozen=True, slots=True)
class Failure:
    """One try that failed."""

    about: str  # manifest hash of the bundle; empty for the pointer
    code: str
    message: str
    tries: int  # of this bundle
    pause_s: float  # until the next
    due: float  # monotonic seconds of the next
    new: bool  # not what was said last: a line of the log


class Tries:
    """Remembers what failed last; pauses double."""

    def __init__(self, poll_s: float) -> None:
        self._poll_s = poll_s
        self._last: Failure | None = None

    def due(self, about: str) -> bool:
        """Whether this bundle may be tried now: another than the last at once."""
        last = self._last
        return last is None or last.about != about or time.monotonic() >= last.due

    def forget(self) -> None:
        """All is well."""
        self._last = None

    def failed(self, about: str, error: Exception) -> Failure:
        """Note it."""
        code = error.code if isinstance(error, MailweirError) else "unexpected"
        message = error.message if isinstance(error, MailweirError) else f"{type(error).__name__}: {error}"
        last = self._last if self._last and self._last.about == about else None
        tries = last.tries + 1 if last else 1
        pause = min(self._poll_s * 2**tries, _LONGEST_PAUSE_S)
        new = last is None or last.message != message
        self._last = Failure(about, code, message, tries, pause, time.monotonic() + pause, new)
        return self._last
