"""What a run tells while it works: to a terminal, to Prometheus, to the log."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Literal, get_args
from wsgiref.simple_server import WSGIServer

from prometheus_client import start_http_server

from mailweir.models.training.recipe import Tell as TellStep
from mailweir.schemas.errors import SettingsError
from mailweir.services.settings import Settings
from mailweir.services.telemetry import Metrics, logger

__all__ = [
    "PHASES",
    "Phase",
    "Progress",
    "Tell",
    "metrics_served",
    "silent",
    "steps_of",
    "to_log",
    "to_metrics",
    "together",
]

log = logger(__name__)

Phase = Literal["shards", "admission", "training", "gate", "promotion"]
PHASES: tuple[Phase, ...] = get_args(Phase)
"""In their order."""

_PORTS_TRIED = 100


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    phase: Phase
    step: str = ""  # of the phase; empty where it has one only
    done: int = 0
    total: int = 0  # 0: not known
    loss: float | None = None
    line: str = ""  # a sentence for the one who waits

    @property
    def share(self) -> float:
        """Of the step, from 0 to 1."""
        return self.done / self.total if self.total else 0.0


Tell = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """Tells nobody."""


def together(*tells: Tell) -> Tell:
    """Tells all of them."""

    def tell(progress: Progress) -> None:
        for each in tells:
            each(progress)

    return tell


def steps_of(phase: Phase, tell: Tell) -> TellStep:
    """For what tells of its own steps, as training does."""
    return lambda told: tell(Progress(phase, told.title, told.done, told.total, told.loss, told.line))


def to_metrics(metrics: Metrics) -> Tell:
    """Phase, share of the step and loss as gauges."""
    for phase in PHASES:
        metrics.trainer_phase.labels(phase)

    def tell(progress: Progress) -> None:
        for phase in PHASES:
            metrics.trainer_phase.labels(phase).set(phase == progress.phase)
        metrics.trainer_done.set(progress.share)
        if progress.loss is not None:
            metrics.trainer_loss.set(progress.loss)

    return tell


def to_log(run_id: str) -> Tell:
    """A line for every phase and step, none for what happens within one."""
    said: tuple[str, str] | None = None

    def tell(progress: Progress) -> None:
        nonlocal said
        if progress.line:
            log.info("trainer_told", run_id=run_id, phase=progress.phase, line=progress.line)
        elif (progress.phase, progress.step) != said:
            said = progress.phase, progress.step
            log.info(
                "trainer_step", run_id=run_id, phase=progress.phase, step=progress.step or None, total=progress.total
            )

    return tell


@contextmanager
def metrics_served(settings: Settings, metrics: Metrics) -> Iterator[str]:
    """Serve /metrics while the run goes on, on the first free port from the one in the settings on; the address.

    Raises:
        SettingsError: there is none, or the host is not ours.
    """
    server, thread = _listen(settings, metrics)
    try:
        yield f"http://{settings.metrics_host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _listen(settings: Settings, metrics: Metrics) -> tuple[WSGIServer, Thread]:
    host, first = settings.metrics_host, settings.metrics_port
    for port in range(first, min(first + _PORTS_TRIED, 65_536)):
        try:
            return start_http_server(port, host, metrics.registry)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise SettingsError(f"cannot listen on {host}:{port}: {error}. Set MAILWEIR_METRICS_HOST.") from error
    raise SettingsError(f"no free port on {host} from {first} on: set MAILWEIR_METRICS_PORT (0: any free port)")
