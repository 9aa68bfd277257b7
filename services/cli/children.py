"""Worker processes that somebody else's command runs beside itself, and that never outlive it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from mailweir.schemas.errors import DependencyError, SetupError
from mailweir.services.lifeline import end_with
from mailweir.services.settings import Settings

__all__ = ["WorkerProcess", "check_running", "end", "running_workers"]

_READY_S = 90.0  # a cold start loads libraries and the bundle from a slow disk
_STOP_S = 15.0  # the batch in hand and leaving the groups
_LOG_LINES = 5  # of a worker that failed, to show


@dataclass
class WorkerProcess:
    """One `mailweir worker`."""

    stage: str  # its agents, with blanks between
    process: asyncio.subprocess.Process
    log: Path  # its standard error
    metrics: str = ""  # URL, once it is ready

    @property
    def ended(self) -> bool:
        """True once the process is gone."""
        return self.process.returncode is not None

    def failure(self) -> SetupError:
        """Why it ended, from its log."""
        code = self.process.returncode
        last = "\n".join(self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
        return SetupError(
            f"the {self.stage} worker ended by itself (exit code {code}); its log {self.log} ends with:\n{last}"
        )

    async def wait_ready(self) -> None:
        """Until it handles mail.

        Raises:
            SetupError: it ended, or is not ready in time.
        """
        assert self.process.stdout is not None  # noqa: S101 - it was started with a pipe
        try:
            async with asyncio.timeout(_READY_S):
                line = await self.process.stdout.readline()
                if not line:
                    await self.process.wait()
                    raise self.failure()
        except TimeoutError as error:
            raise SetupError(f"the {self.stage} worker is not ready after {_READY_S:.0f} s; see {self.log}") from error
        self.metrics = orjson.loads(line)["metrics"]

    async def stop(self) -> None:
        """Let it finish the batch in hand; kill it if it does not."""
        await end(self.process)


async def end(process: asyncio.subprocess.Process) -> None:
    """Ask a process of ours to end; kill it if it does not."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


@asynccontextmanager
async def running_workers(
    settings: Settings, stages: Sequence[Sequence[str]], folder: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[list[WorkerProcess]]:
    """A worker process for each of `stages` (its agents) on the Kafka of `settings`, ready; their logs are in `folder`.

    `environment` holds settings beside those of the Kafka.
    """
    async with AsyncExitStack() as undo:
        workers: list[WorkerProcess] = []
        undo.push_async_callback(_stop_all, workers)
        for number, agents in enumerate(stages):
            again = f"-{same + 1}" if (same := [*stages[:number]].count(agents)) else ""
            log = folder / f"worker-{'-'.join(agents)}{again}.log"
            workers.append(await _start(settings, agents, log, environment or {}))
        await asyncio.gather(*(worker.wait_ready() for worker in workers))
        yield workers


async def _stop_all(workers: Sequence[WorkerProcess]) -> None:
    await asyncio.gather(*(worker.stop() for worker in workers))


def check_running(workers: Sequence[WorkerProcess]) -> None:
    """Raise `DependencyError` with the end of its log if one has ended."""
    for worker in workers:
        if worker.ended:
            raise DependencyError(worker.failure().message)


async def _start(settings: Settings, agents: Sequence[str], log: Path, environment: Mapping[str, str]) -> WorkerProcess:
    kafka = {
        "MAILWEIR_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "MAILWEIR_KAFKA_SECURITY": settings.kafka_security,
        "MAILWEIR_INSTANCE": "",
    }
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mailweir.services.cli", "worker", *agents),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=output,
            env={**os.environ, **kafka, **environment},
            start_new_session=True,  # Ctrl-C is ours; we stop the workers in order
            preexec_fn=end_with(os.getpid(), signal.SIGTERM),
        )
    return WorkerProcess(" ".join(agents), process, log)
