"""The dashboards of a demo that stays up: a Prometheus that asks its workers, where the machine has one, and the page."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from yarl import URL

from mailweir.schemas.errors import DependencyError, SettingsError
from mailweir.services.broker.ports import draw, taken
from mailweir.services.cli.children import WorkerProcess, end
from mailweir.services.cli.dashboard import RUNBOOKS
from mailweir.services.lifeline import end_with

if TYPE_CHECKING:
    from mailweir.services.dashboard import Library, Prometheus

__all__ = ["live_dashboard"]

_PAGE_PORT, _PROMETHEUS_PORT = 8090, 9090  # the usual ones, where they are free
_SCRAPE_S = 5  # a person looks on
_FIRST_LOOK_S = 15.0


@asynccontextmanager
async def live_dashboard(
    workers: Sequence[WorkerProcess], logs: Path, say: Callable[[str], None]
) -> AsyncIterator[str]:
    """Serve both on this machine, and say where, or why not; the page's address, else nothing. The data are gone at the end."""
    try:
        program, library = _means()
    except SettingsError as missing:
        say(f"left out: {missing.message}")
        yield ""
        return
    from mailweir.services.dashboard import Page, Prometheus, address, read_boards

    url = f"http://127.0.0.1:{_port(_PROMETHEUS_PORT)}"
    prometheus = Prometheus(address(url))
    page = Page(prometheus, read_boards(), library, _SCRAPE_S, RUNBOOKS)
    with tempfile.TemporaryDirectory(prefix="mailweir-prometheus-") as folder:
        async with _scraping(program, url, workers, Path(folder), logs / "prometheus.log"):
            await page.start(_port(_PAGE_PORT))
            try:
                say(f"{page.url}, from a Prometheus at {url}")
                await _looked_at(prometheus, len(workers))
                yield f"{page.url}overview?range=15m&refresh=10"
            finally:
                await page.stop()


async def _looked_at(prometheus: Prometheus, workers: int) -> None:
    """Until each worker was asked once: what they count before that is no increase to Prometheus, and the page would lack it."""
    with suppress(TimeoutError):  # then the page begins later, and says why
        async with asyncio.timeout(_FIRST_LOOK_S):
            while await _seen(prometheus) < workers:  # noqa: ASYNC110 - the server is another program: nothing to wait for
                await asyncio.sleep(0.2)


async def _seen(prometheus: Prometheus) -> int:
    with suppress(DependencyError):  # it is still starting
        return len(await prometheus.vector("up == 1", time.time()))
    return 0


def _means() -> tuple[str, Library]:
    from mailweir.services.dashboard import find_library

    program = shutil.which("prometheus")
    if program is None:
        raise SettingsError("there is no Prometheus on this machine (Debian: apt-get install prometheus)")
    return program, find_library()


def _port(usual: int) -> int:
    return draw(1)[0] if taken([usual]) else usual


@asynccontextmanager
async def _scraping(
    program: str, url: str, workers: Sequence[WorkerProcess], folder: Path, log: Path
) -> AsyncIterator[None]:
    targets = [URL(worker.metrics).authority for worker in workers]
    jobs = [{"job_name": "mailweir", "static_configs": [{"targets": targets, "labels": {"environment": "demo"}}]}]
    config = folder / "prometheus.yaml"  # JSON is YAML
    config.write_bytes(orjson.dumps({"global": {"scrape_interval": f"{_SCRAPE_S}s"}, "scrape_configs": jobs}))
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--storage.tsdb.retention.size=64MB",
            f"--web.listen-address={URL(url).authority}",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is ours
            preexec_fn=end_with(os.getpid(), signal.SIGTERM),
        )
    try:
        yield
    finally:
        await end(process)
