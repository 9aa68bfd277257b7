"""The real command as a process: what it says and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

COMMAND = (sys.executable, "-m", "mailweir.services.cli")
NOWHERE = "127.0.0.1:1"
"""An address where no broker can be: nothing of ours listens on port 1."""


@dataclass(frozen=True)
class Ran:
    """One run."""

    code: int
    out: str
    err: str

    def rows(self) -> list[Any]:
        """Standard output as JSON lines."""
        return [orjson.loads(line) for line in self.out.splitlines()]


def mailweir(*arguments: object, stdin: bytes = b"", seconds: float = 120, **environment: str) -> Ran:
    """Run the command to its end; `environment` is added without the prefix MAILWEIR_."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        timeout=seconds,
        env=_environment(environment),
        check=False,
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


@contextmanager
def running(*arguments: object, before: Sequence[str] = COMMAND, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Start the command and kill it in the end if it still runs."""
    process = subprocess.Popen(
        [*before, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(environment),
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _environment(changes: dict[str, str]) -> dict[str, str]:
    return os.environ | {f"MAILWEIR_{name.upper()}": value for name, value in changes.items()}
