"""A child process that does not outlive the one that started it, however that one ends: Linux sees to it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

__all__ = ["end_with"]

_PR_SET_PDEATHSIG = 1  # prctl(2): the signal that comes when the parent dies, by kill -9 too


def end_with(parent: int, number: signal.Signals) -> Callable[[], None]:
    """What the child is to call, itself or as `preexec_fn`: from then on it gets `number` when `parent` is gone.

    It ends the child at once where the parent is gone already. Elsewhere than on Linux it does nothing.
    """
    if sys.platform != "linux":
        return lambda: None
    prctl = ctypes.CDLL(None).prctl  # looked up here: between fork and exec nothing may be loaded

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return in_child
