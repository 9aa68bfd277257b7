"""One broker process: started under a guard, stopped, killed, paused, and asked why it went."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mailweir.schemas.errors import KafkaSetupError
from mailweir.services.broker import guard
from mailweir.services.broker.config import MIB, Place

_KEEP_LOG_BYTES = 8 * MIB
_STOP_TIMEOUT_S = 20.0
_KILL_TIMEOUT_S = 10.0
_LINES = 25
_LAST_EXIT_STATUS = 224  # above it the guard's status stands for a signal: 256 less its number


class Node:
    """The process of one node; knows nothing of Kafka's protocol."""

    def __init__(self, place: Place, *, throwaway: bool, lock: int) -> None:
        """Describe a node that is not running; `lock` is a file descriptor that the guard holds open while the JVM lives."""
        self.place = place
        self.jvm = 0
        self._throwaway = throwaway
        self._lock = lock
        self._guard: subprocess.Popen[str] | None = None
        self._log_start = 0

    @property
    def running(self) -> bool:
        """Whether the JVM has not ended; a paused one is running."""
        return self._guard is not None and self._guard.poll() is None

    def start(self, command: Sequence[str]) -> None:
        """Start the JVM; returns as soon as the process exists."""
        if self.running:
            raise KafkaSetupError(f"node {self.place.node} is running already")
        self._log_start = self._trim_log()
        self._empty_scratch()
        self._guard = subprocess.Popen(  # noqa: S603 (the command is our own)
            [*self._guard_command(), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self.place.folder,
            start_new_session=True,  # Ctrl-C in the terminal is for us alone
            pass_fds=(self._lock,),
            text=True,
        )
        self.jvm = int(_first_line(self._guard))

    def signal(self, number: signal.Signals) -> None:
        """Send the JVM a signal; none when it has ended."""
        if self.running:
            with suppress(ProcessLookupError):
                os.kill(self.jvm, number)

    def kill(self) -> None:
        """Crash the JVM (SIGKILL) and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self._wait(_KILL_TIMEOUT_S)

    def stop(self) -> None:
        """Let the broker shut down in order, and crash it if it does not within 20 s."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self._wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def log(self) -> str:
        """Return what the JVM printed since its last start."""
        try:
            with self.place.log.open("rb") as file:
                file.seek(self._log_start)
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def how(self) -> str:
        """Say how the JVM ended: by a signal, which is somebody else's doing, or by itself."""
        status = self._guard.poll() if self._guard else None
        if status is not None and status % 256 > _LAST_EXIT_STATUS:
            return f"was ended by {signal.Signals(256 - status % 256).name}"
        return f"ended by itself with exit code {status}"

    def why(self) -> str:
        """Return the warnings and errors of the log from its first error on: its end is what the broker says as it shuts down."""
        lines = [line for line in self.log().splitlines() if " INFO " not in line]
        first = next((at for at, line in enumerate(lines) if _is_error(line)), max(len(lines) - _LINES, 0))
        return "\n".join(lines[first : first + _LINES])

    def _guard_command(self) -> list[str]:
        grace_s = "0" if self._throwaway else "10"
        throwaway = str(self.place.folder) if self._throwaway else ""
        # -I -S: the guard needs no packages, and starts in 15 ms without them
        return [sys.executable, "-I", "-S", str(Path(guard.__file__)), str(self.place.log), grace_s, throwaway]

    def _trim_log(self) -> int:
        """Begin a new log file when the old one is large; return where this start's part begins."""
        log = self.place.log
        if log.exists() and log.stat().st_size > _KEEP_LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        return log.stat().st_size if log.exists() else 0

    def _empty_scratch(self) -> None:
        """Remove what a killed JVM left; a running one deletes its own at its end."""
        shutil.rmtree(self.place.scratch, ignore_errors=True)
        self.place.scratch.mkdir(exist_ok=True)

    def _wait(self, timeout_s: float) -> None:
        if self._guard is None:
            return
        self._guard.wait(timeout_s)
        for pipe in (self._guard.stdin, self._guard.stdout):
            if pipe is not None:
                pipe.close()


def _first_line(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline() if process.stdout else ""
    if not line.strip().isdigit():
        raise KafkaSetupError(f"the guard of a Kafka node did not start (it ended with {process.wait()})")
    return line


def _is_error(line: str) -> bool:
    return any(mark in line for mark in (" ERROR ", " FATAL ")) or line.startswith(("Exception", "Error", "java.lang."))
