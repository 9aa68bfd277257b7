"""The worker process: faust hosts the agents, the stream feeds them, health watches both."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from importlib.metadata import version
from typing import Any

import faust
from faust.app import BootStrategy
from faust.transport.base import Transport
from faust.transport.conductor import Conductor
from faust.transport.consumer import Consumer
from faust.types.agents import AgentT
from faust.types.streams import StreamT
from mode import Service
from mode.types import ServiceT

from mailweir.schemas.topics import Topic
from mailweir.services.health import Health, LoopDelay
from mailweir.services.settings import Settings
from mailweir.services.stream import (
    Batch,
    BatchLimits,
    Bus,
    Stream,
    Weigh,
    agent_ended,
    certificate_ends,
    one_token,
    traces_of,
)
from mailweir.services.telemetry import Metrics, Traces, logger

__all__ = ["Host", "Part"]

log = logger(__name__)

Agent = Callable[[StreamT[Batch]], Awaitable[None]]
"""What an agent is: a coroutine function over a stream of batches."""


class _Boot(BootStrategy):
    """Agents first, then the readers that feed them; faust's own Kafka clients and web server stay off."""

    enable_kafka = False
    enable_web = False
    enable_sensors = False

    def server(self) -> Iterable[ServiceT]:
        app = self.app
        assert isinstance(app, _App)  # noqa: S101 - narrows the type
        return [app.host.health, app.host.delay, *app.host.parts, *self.agents(), *app.host.stream.readers]


class _IdleConsumer(Consumer):
    """faust's streams look at their app's consumer. This one has no client, thread or event loop and is never asked."""


_IdleConsumer.__abstractmethods__ = frozenset()  # sixteen methods that nothing calls need no sixteen empty bodies


class _NoTransport(Transport):
    Consumer = _IdleConsumer
    Conductor = Conductor


class _App(faust.App):
    BootStrategy = _Boot
    host: Host

    async def on_first_start(self) -> None:
        """No tables, so none of faust's directories."""

    async def on_start(self) -> None:
        """As faust's, without making the consumer that it would never start (and an event loop for it)."""
        self.finalize()

    async def _on_agent_error(self, agent: AgentT[Any], exc: BaseException) -> None:
        """An agent's loop ended: nobody would take the next batch, so the worker must not look alive."""
        log.critical("agent_failed", agent=agent.name, error=type(exc).__name__)
        self.host.stop_because(exc)


class Part(Service):
    """Something that an agent needs and that starts before it: a model, a pool of parsers."""

    abstract = True

    @property
    def ready(self) -> bool:
        """True once mail can be handled."""
        return self.started


class Host:
    """One worker process. Agents register with `agent`, `serve` runs it until a signal or a failure."""

    def __init__(self, settings: Settings, bus: Bus, traces: Traces | None = None) -> None:
        """Must be made inside the running event loop. Spans go where the settings say, or to `traces`.

        Raises:
            SetupError: packages that the settings need are not installed.
        """
        self.settings = settings
        self.metrics = Metrics(settings.metrics_mailboxes)
        for role, end in certificate_ends(settings).items():
            self.metrics.certificate.labels(role).set(end.timestamp())
        self.traces = traces or traces_of(settings, self.metrics)
        self.parts: list[Part] = []
        loop = asyncio.get_running_loop()
        self.faust = _App("mailweir", broker="kafka://", autodiscover=False, topic_disable_leader=True, loop=loop)
        self.faust.host = self
        self.faust.transport = _NoTransport([], self.faust, loop)
        self.stream = Stream(self.faust, bus, settings, self.metrics, self.traces)
        self.delay = LoopDelay(self.metrics)
        self.health = Health(self.metrics, settings, lambda: self.stream.readers, lambda: self.parts)
        self._over: asyncio.Future[BaseException | None] = loop.create_future()

    def agent(
        self, topic: Topic, stage: str, weigh: Weigh = one_token, limits: BatchLimits | None = None
    ) -> Callable[[Agent], None]:
        """Decorator: make `function(batches)` the faust agent `stage` that reads `topic`, in batches of the settings or `limits`."""

        def register(function: Agent) -> None:
            channel = self.stream.batches(topic, stage, weigh, limits)
            self.faust.agent(channel, name=stage)(self._watched(function, stage))

        return register

    def _watched(self, function: Agent, stage: str) -> Agent:
        """The agent, and what tells when it was cancelled or returned: faust would only start it anew."""

        @functools.wraps(function)
        async def run(batches: StreamT[Batch]) -> None:
            try:
                await function(batches)
            except asyncio.CancelledError:
                self._agent_ended(stage)
                raise
            self._agent_ended(stage)

        return run

    def _agent_ended(self, stage: str) -> None:
        if not self.faust.should_stop:
            self.stop_because(agent_ended(stage))

    async def start(self) -> None:
        """Start everything; raises what keeps a part from starting."""
        for reader in self.stream.readers:
            reader.failed = self.stop_because
        self.faust.flow_control.resume()
        await self.faust.start()

    async def stop(self) -> None:
        """Finish the batches in hand, commit, leave the groups, stop the agents; the readers all at the same time."""
        await asyncio.gather(*(reader.stop() for reader in self.stream.readers if reader.started))
        await self.faust.stop()
        await asyncio.to_thread(self.traces.close)

    def stop_because(self, cause: BaseException | None) -> None:
        """End `serve`; with an error as cause it is raised there."""
        if not self._over.done():
            self._over.set_result(cause)

    async def serve(self, on_ready: Callable[[str], None]) -> None:
        """Run until SIGINT or SIGTERM; `on_ready` gets the URL of the metrics once mail is being handled.

        Raises:
            DeliveryError: going on would lose mail.
            SetupError: the worker cannot start.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._obey, number)
        log.info("worker_started", **self._context())
        announce: asyncio.Task[None] | None = None
        try:
            await self.start()
            announce = asyncio.create_task(self._announce(on_ready))
            cause = await self._over
        finally:
            if announce is not None:
                announce.cancel()
            began = time.monotonic()
            await self.stop()
            mails = sum(reader.progress.finished for reader in self.stream.readers)
            log.info("stopped", mails=mails, seconds=round(time.monotonic() - began, 2))
        if cause:
            raise cause

    def _obey(self, number: signal.Signals) -> None:
        log.info("stopping", signal=number.name)
        self.stop_because(None)

    def _context(self) -> dict[str, object]:
        return {
            "version": version("mailweir"),
            "stages": [reader.plan.stage for reader in self.stream.readers],
            "bootstrap": self.settings.kafka_bootstrap,
            "groups": f"{self.settings.group_prefix}.*",
            "instance": self.settings.instance or None,
            "pid": os.getpid(),
        }

    async def _announce(self, on_ready: Callable[[str], None]) -> None:
        while not self.health.ready():  # noqa: ASYNC110 - several services decide it, once in a life
            await asyncio.sleep(0.05)
        on_ready(self.health.url)
