"""One try of a run: a process of its own, watched, limited, and never left behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mailweir.schemas.errors import DependencyError
from mailweir.services.lifeline import end_with

__all__ = ["Child", "End", "Limits"]

_LINES = 40  # of its standard error
_OURS = "mailweir: "  # begins the one line that a command of ours ends with
_ERROR = re.compile(r"(?:\w+\.)*(\w+)(?::|$)")  # last line of a traceback: what follows the colon may quote a mail
_LINE_BYTES = 64 * 1024
_READ_S = 2.0
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a try may take."""

    memory_bytes: int
    seconds: float
    grace_s: float  # from SIGTERM to SIGKILL
    look_s: float = 1.0  # how often it is looked at


@dataclass(frozen=True, slots=True)
class End:
    """How it ended."""

    code: int  # exit code; minus the number of the signal that ended it
    stopped: str  # why it was stopped; empty where it ended by itself
    said: str  # its last word, without anything that could be a mail's

    @property
    def cause(self) -> str:
        """In one sentence."""
        how = f"ended by {signal.Signals(-self.code).name}" if self.code < 0 else f"ended with exit code {self.code}"
        return self.stopped or (f"{how}: {self.said}" if self.said else how)


class Child:
    """A running process and all that it starts.

    Its memory is what the processes of its group keep in memory themselves, looked at once a second. A limit of address space
    (RLIMIT_AS) would count what CUDA and thread stacks reserve and never touch, tens of gigabytes; one of the data segment
    (RLIMIT_DATA) ends inside a library that does not expect it, without a word. A burst between two looks is the kernel's to
    end, which takes this process first: the worker beside it lives on.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._killed = False
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, command: Sequence[str]) -> Child:
        """Start the command with our environment, in a group of its own; the system kills it when we are gone.

        Raises:
            DependencyError: the system starts no process now.
        """
        try:
            process = await cls._process_of(command)
        except OSError as error:
            raise DependencyError(f"cannot start {command[0]}: {error.strerror}") from error
        with suppress(OSError):  # it may be over already, or the system has no such file
            (_PROC / str(process.pid) / "oom_score_adj").write_text("1000")
        return cls(process)

    @staticmethod
    async def _process_of(command: Sequence[str]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
            start_new_session=True,
            preexec_fn=end_with(os.getpid(), signal.SIGKILL),
        )

    @property
    def pid(self) -> int:
        """Of the process, and of its group."""
        return self._process.pid

    async def finish(
        self, limits: Limits, told: Callable[[int], None], unwanted: Callable[[], str] = lambda: ""
    ) -> End:
        """Wait for its end; stop it when it takes too much, or when `unwanted` gives a reason. `told` hears its bytes."""
        clock = asyncio.get_running_loop().time
        end, stopped = clock() + limits.seconds, ""
        waiting = asyncio.create_task(self._process.wait())
        while not (await asyncio.wait([waiting], timeout=limits.look_s))[0]:
            memory = _memory(self.pid)
            told(memory)
            stopped = unwanted() or _excess(memory, limits) or (_too_long(limits) if clock() > end else "")
            if stopped:
                break
        await self.stop(limits.grace_s)
        told(0)
        return End(await waiting, stopped, _last_word(self._lines))

    async def stop(self, grace_s: float) -> None:
        """SIGTERM, and after the grace SIGKILL, to the whole group; what it has written is read to its end."""
        if self._process.returncode is None:
            self._signal(signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), grace_s)
        if not self._killed:  # once: a number that is free again may become another's
            self._killed = True
            self._signal(signal.SIGKILL)  # also what it started and left
        await self._process.wait()
        if not (await asyncio.wait([self._reading], timeout=_READ_S))[0]:
            self._reading.cancel()  # a process that left the group holds the pipe open

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    async def _read(self) -> None:
        stream = self._process.stderr
        assert stream is not None  # noqa: S101 - it was started with a pipe
        while True:
            try:
                line = await stream.readline()
            except ValueError:  # a line longer than the limit: dropped
                continue
            if not line:
                return
            self._lines.append(line.decode(errors="replace").strip())


def _memory(group: int) -> int:
    """Bytes that the processes of the group hold in memory, less what is mapped from files."""
    return sum(_resident(folder) for folder in _members(group))


def _members(group: int) -> Iterator[Path]:
    for folder in _PROC.glob("[0-9]*"):
        with suppress(ProcessLookupError, PermissionError):
            if os.getpgid(int(folder.name)) == group:
                yield folder


def _resident(process: Path) -> int:
    try:
        lines = (process / "status").read_text().splitlines()
    except OSError:
        return 0
    sizes = (line.split() for line in lines if line.startswith(("RssAnon:", "RssShmem:")))
    return sum(int(size) * 1024 for _, size, _ in sizes)


def _excess(memory: int, limits: Limits) -> str:
    if memory <= limits.memory_bytes:
        return ""
    gib = 1024**3
    return (
        f"stopped at {memory / gib:.2f} GiB of memory, the limit is {limits.memory_bytes / gib:.2f}: "
        "raise MAILWEIR_TRAINER_MEMORY_GIB, or let the trainer run on a larger machine (mailweir retrain run)"
    )


def _too_long(limits: Limits) -> str:
    return f"stopped after {limits.seconds / 3_600:.2f} hours: raise MAILWEIR_TRAINER_HOURS"


def _last_word(lines: Sequence[str]) -> str:
    """The message of a command of ours, else the kind of the error that its traceback ends with."""
    for line in reversed(lines):
        if line.startswith(_OURS):
            return line.removeprefix(_OURS)[:500]
    last = next((line for line in reversed(lines) if line), "")
    found = _ERROR.match(last)
    return found[1] if found and any(line.startswith("Traceback") for line in lines) else ""
