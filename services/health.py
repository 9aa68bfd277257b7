"""`/metrics`, `/live` and `/ready` of a worker, served from the same event loop: if that hangs, so do they."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import orjson
from aiohttp import web
from mode import Service
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from mailweir.schemas.errors import SettingsError
from mailweir.services.settings import Settings
from mailweir.services.stream import Reader
from mailweir.services.telemetry import Metrics, logger

__all__ = ["Health", "LoopDelay", "ReadyPart"]

log = logger(__name__)

_PORTS_TRIED = 100  # workers without options on one machine find a free port each


class ReadyPart(Protocol):
    """Something that must be warm before mail is handled."""

    @property
    def ready(self) -> bool:
        """True once it is."""


class Health(Service):
    """HTTP server of one worker."""

    def __init__(
        self,
        metrics: Metrics,
        settings: Settings,
        readers: Callable[[], Sequence[Reader]],
        parts: Callable[[], Sequence[ReadyPart]],
    ) -> None:
        super().__init__()
        self._metrics = metrics
        self._settings = settings
        self._readers = readers
        self._parts = parts
        self._runner: web.AppRunner | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Where the metrics are."""
        host = "127.0.0.1" if self._settings.metrics_host == "0.0.0.0" else self._settings.metrics_host  # noqa: S104
        return f"http://{host}:{self.port}/metrics"

    async def on_start(self) -> None:
        """Listen on the first free port from the one in the settings on."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/metrics", self._serve_metrics),
                web.get("/live", self._serve_live),
                web.get("/ready", self._serve_ready),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        self.port = await self._listen(self._runner)
        log.info("metrics_served", url=self.url)

    async def on_stop(self) -> None:
        """Close the server."""
        if self._runner:
            await self._runner.cleanup()

    def ready(self) -> bool:
        """Models warm and every group joined."""
        return all(part.ready for part in self._parts()) and all(reader.progress.assigned for reader in self._readers())

    def stalled(self) -> list[str]:
        """Stages that have work and have moved no offset for too long."""
        return [
            reader.plan.stage
            for reader in self._readers()
            if reader.progress.behind and self._old(reader.progress.moved_at)
        ]

    def unheard(self) -> list[str]:
        """Stages whose broker has not answered for too long: whether there is work they cannot know."""
        return [reader.plan.stage for reader in self._readers() if self._old(reader.heard_at)]

    def _old(self, moment: float) -> bool:
        return time.monotonic() - moment > self._settings.stall_seconds

    async def _listen(self, runner: web.AppRunner) -> int:
        host, first = self._settings.metrics_host, self._settings.metrics_port
        for port in range(first, min(first + _PORTS_TRIED, 65_536)):
            try:
                await web.TCPSite(runner, host, port, reuse_port=False).start()
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise SettingsError(
                        f"cannot listen on {host}:{port}: {error}. Set MAILWEIR_METRICS_HOST."
                    ) from error
                continue
            return int(runner.addresses[0][1])
        raise SettingsError(f"no free port on {host} from {first} on: set MAILWEIR_METRICS_PORT (0: any free port)")

    async def _serve_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._metrics.registry), headers={"content-type": CONTENT_TYPE_LATEST})

    async def _serve_live(self, _: web.Request) -> web.Response:
        stalled, unheard = self.stalled(), self.unheard()
        return _answer(not stalled and not unheard, {"stalled": stalled, "broker_silent": unheard})

    async def _serve_ready(self, _: web.Request) -> web.Response:
        waiting = [reader.plan.stage for reader in self._readers() if not reader.progress.assigned]
        return _answer(self.ready(), {"waiting_for_partitions": waiting})


class LoopDelay(Service):
    """Measures how long others hold the event loop: it sleeps, and looks how late it wakes up."""

    _SLEEP_SECONDS = 0.1  # ten wakings a second are no load, and a second that is lost is seen within that second

    def __init__(self, metrics: Metrics) -> None:
        super().__init__()
        self._delay = metrics.loop_delay

    @Service.task
    async def _measure(self) -> None:
        while not self.should_stop:
            due = time.monotonic() + self._SLEEP_SECONDS
            await asyncio.sleep(self._SLEEP_SECONDS)
            self._delay.observe(max(time.monotonic() - due, 0.0))


def _answer(good: bool, detail: dict[str, object]) -> web.Response:  # noqa: FBT001 - the status is the point
    return web.Response(
        status=200 if good else 503, body=orjson.dumps({"ok": good} | detail), content_type="application/json"
    )
