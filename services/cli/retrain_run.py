"""`mailweir retrain run`: carry a training run out, here and now."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from mailweir.schemas.errors import DependencyError, SettingsError, SetupError
from mailweir.schemas.topics import MODELS, RETRAIN, SHARDS
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.output import complain, console, emit

if TYPE_CHECKING:
    from mailweir.schemas.events import RetrainFinished
    from mailweir.services.settings import Settings
    from mailweir.services.trainer.progress import Progress as Told
    from mailweir.services.trainer.progress import Tell

__all__ = ["AGAIN", "INSTALL", "run", "shown"]

AGAIN = 3
"""Exit code where nothing was told and the same command goes on later."""
INSTALL = "pip install 'mailweir[train,feedback]'"


def run(
    run_id: Annotated[
        str | None,
        typer.Argument(metavar="[RUN_ID]", help="The run, or the first characters of its id.", show_default=False),
    ] = None,
    *,
    latest: Annotated[bool, typer.Option("--latest", help="The run that is open.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The end as JSON, as it is on the topic.")] = False,
) -> None:
    r"""Carry out a training run: shards, admission, training, gate, and promotion where the gate lets it.

    The candidate is made by the champion's own recipe, from the corpus (MAILWEIR_TRAINER_CORPUS) and what admission lets through
    of the shards; the newest fifth of what people said is held back, and the gate asks both models about it. Everything is kept
    in a folder of the run (MAILWEIR_TRAINER_DIR): after a kill the same command goes on from there and comes to the same end.
    The end is on mail.retrain, once. While it works, /metrics tells phase, step and loss (MAILWEIR_METRICS_PORT).

    Needs [bold]pip install 'mailweir\[train,feedback]'[/], a registry, and on a cluster with permissions the user trainer.

    [bold]mailweir retrain run --latest[/]

    Exit codes: 0 promoted; 1 refused or failed, as mail.retrain says; 2 set-up: nothing was told, and the run stays open;
    3 Kafka or a store is away, a disk is full, or another process has the run: nothing was told, the same command goes on later.
    """
    if (run_id is None) != latest:
        raise SettingsError("which run? Name one, or --latest; `mailweir retrain status` shows them")
    settings = client_settings()
    try:
        end = _end(settings, run_id)
    except DependencyError as error:
        complain(error.message)
        raise typer.Exit(AGAIN) from error
    except ImportError as error:
        raise SetupError(f"a training run needs packages that serving does not ({error}): {INSTALL}") from error
    if as_json:
        emit(end.encode())
    else:
        _print(end)
    if end.outcome != "promoted":
        raise typer.Exit(1)


def _end(settings: Settings, wanted: str | None) -> RetrainFinished:
    import asyncio

    from mailweir.services.stream import KafkaBus
    from mailweir.services.telemetry import Metrics
    from mailweir.services.topics import require
    from mailweir.services.trainer.job import find_run, finish
    from mailweir.services.trainer.progress import metrics_served, to_metrics, together

    asyncio.run(require(settings, (SHARDS, RETRAIN, MODELS)))
    found = find_run(settings, lambda: KafkaBus(settings), wanted)
    if found.end is not None:
        complain(f"run {found.request.run_id[:12]} has ended already")
        return found.end
    metrics = Metrics()
    with metrics_served(settings, metrics) as url, shown(f"run {found.request.run_id[:12]}, metrics {url}") as tell:
        return finish(settings, lambda: KafkaBus(settings), found, together(tell, to_metrics(metrics)), metrics=metrics)


@contextmanager
def shown(title: str) -> Iterator[Tell]:
    """Below the title bars on standard error, a line for each step where nobody looks; what is told goes above them."""
    screen = console(errors=True)
    if title:
        screen.print(title, markup=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=screen, disable=not screen.is_terminal, redirect_stdout=not sys.stdout.isatty()
    ) as bars:
        yield _Bars(bars, screen).tell


class _Bars:
    """One bar for each step."""

    def __init__(self, bars: Progress, screen: Console) -> None:
        self._bars = bars
        self._screen = screen
        self._step: tuple[str, str] = ("", "")
        self._task: TaskID | None = None

    def tell(self, told: Told) -> None:
        """Move the bar of the step, or begin one."""
        if told.line:
            self._screen.print(f"  {told.line}", markup=False)
            return
        name = f"{told.phase}: {told.step}" if told.step else told.phase
        if self._task is None or self._step != (told.phase, told.step):
            self._step = told.phase, told.step
            self._task = self._bars.add_task(name, total=told.total or None)
            if not self._screen.is_terminal:
                self._screen.print(name, markup=False)
        loss = f"{name}, loss {told.loss:.3f}" if told.loss is not None else name
        self._bars.update(self._task, completed=told.done, description=loss)


def _print(end: RetrainFinished) -> None:
    to = console()
    model = f" {end.candidate.name} {end.candidate.version}" if end.candidate else ""
    to.print(f"run {end.run_id[:12]} {end.outcome}{model}", markup=False)
    for name, value in sorted(end.metrics.items()):
        if name.endswith(".candidate"):
            head = name.removesuffix(".candidate")
            before = end.metrics.get(f"{head}.champion")
            change = f"  champion {before:.3f}" if before is not None else ""
            to.print(f"  {head:<28}{value:.3f}{change}", markup=False)
    for reason in end.reasons:
        to.print(f"  {reason}", markup=False, soft_wrap=True)
