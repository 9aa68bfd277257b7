"""`mailweir demo`: everything once, on a real Kafka, with nothing to set up."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from mailweir.schemas.errors import DependencyError
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.output import console, file_size
from mailweir.services.cli.reading import FoundMail
from mailweir.services.cli.rows import UNSURE
from mailweir.services.cli.sample_mails import FOLDER, Sample, samples
from mailweir.services.cli.send import Sender

if TYPE_CHECKING:
    from mailweir.services.cli.children import WorkerProcess
    from mailweir.services.settings import Settings

__all__ = ["demo"]

_STAGES = (("ingest",), ("classify",))
_USUAL_PORT = 9092
_DETAILED = "en/work-purchase-order"  # the sample whose decision is told in more detail


def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running until Ctrl-C.")] = False,
    loop: Annotated[
        bool, typer.Option(help="Also walk through the learning loop, where nothing is kept running.")
    ] = True,
) -> None:
    r"""Show it all: a real Kafka, workers, sample mails, decisions, dead letters, metrics; then the learning loop.

    Starts a broker (on port 9092 with --keep, if that is free) with a temporary folder, creates the topics, starts two workers, sends 52 sample mails and
    two that are none. With --keep and a Prometheus on this machine it serves the dashboards as well (on port 8090, if that is free). Then a small model that hardly knows one kind of mail is corrected 300 times: a shard, a run, the gate, the better model in both
    workers, and the way back. Ends by itself in less than three minutes. Nothing is left behind but the workers' logs.

    The loop needs a checkout (its mails are in models/corpus) and [bold]pip install 'mailweir\[loop]'[/]; without them it is left out and said so.

    [bold]mailweir demo --keep[/]

    Exit codes: 0 every mail was decided or lies in the dead letters; 1 it was not (the reason and the log are named);
    2 no Java, or Kafka's jars are missing.
    """
    from mailweir.services.broker import KafkaCluster
    from mailweir.services.broker.ports import taken

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a plain kill cleans up as Ctrl-C does
    began = time.monotonic()
    settings, to = client_settings(), console()
    # what stays up is where other programs look for a Kafka, if nobody else is there
    port = _USUAL_PORT if keep and not taken([_USUAL_PORT]) else None
    with KafkaCluster(libs=settings.kafka_libs, port=port) as cluster:
        _step(to, "Kafka", f"a real broker at {cluster.bootstrap}, ready in {time.monotonic() - began:.1f} s")
        ours = client_settings(kafka_bootstrap=cluster.bootstrap, kafka_security="PLAINTEXT")
        asyncio.run(_Demo(ours, to).run(began, keep=keep, loop=loop and not keep))


class _Demo:
    """The steps after the broker, each said when it is done."""

    def __init__(self, settings: Settings, to: Console) -> None:
        self._settings = settings
        self._to = to
        self._logs = Path(tempfile.mkdtemp(prefix="mailweir-demo-"))

    async def run(self, began: float, *, keep: bool, loop: bool) -> None:
        from mailweir.services.cli.children import running_workers
        from mailweir.services.cli.demo_dashboard import live_dashboard
        from mailweir.services.topics import apply

        created = await apply(self._settings)
        _step(self._to, "Topics", f"{len(created)} created: {', '.join(created)}")
        started = time.monotonic()
        async with running_workers(self._settings, _STAGES, self._logs) as workers:
            named = " and ".join(f"{worker.stage} (pid {worker.process.pid})" for worker in workers)
            _step(self._to, "Workers", f"{named}, ready in {time.monotonic() - started:.1f} s; logs in {self._logs}")
            if keep:
                async with live_dashboard(workers, self._logs, self._say_dashboard) as page:
                    await self._walk(workers)
                    self._say_done(began, keep=keep, page=page)
                    await _stay(workers)
                return
            await self._walk(workers)
            if loop:
                await self._show_loop()
            self._say_done(began, keep=keep)

    async def _walk(self, workers: list[WorkerProcess]) -> None:
        from mailweir.services.cli.demo_watch import show_dead, show_decisions, show_detail, show_figures

        mails = samples()
        await self._send(mails)
        self._heading("Decisions, as they come onto mail.classified")
        decisions, dead = await show_decisions(self._settings, self._to, mails, workers)
        self._to.print(UNSURE, style="dim")
        if _DETAILED in decisions:
            self._heading(f"More of one of them: {_DETAILED}")
            show_detail(self._to, decisions[_DETAILED])
        self._heading("Dead letters, on mail.dead with their bytes untouched")
        show_dead(self._to, dead)
        self._heading("Metrics of the workers, for Prometheus")
        await show_figures(self._to, workers)

    async def _show_loop(self) -> None:
        """Corrections become a better model; on topics of its own, so that it mixes with nothing."""
        self._heading("The learning loop, with a small model and 300 corrections")
        if missing := _missing_for_loop():
            self._to.print(f"left out: {missing}", markup=False, soft_wrap=True)
            return
        from mailweir.services.cli.loop import LoopWalk
        from mailweir.services.cli.retrain_run import shown

        def say(step: str, text: str) -> None:
            _step(self._to, step, text)

        with tempfile.TemporaryDirectory(prefix="mailweir-loop-") as folder:
            walk = LoopWalk(self._settings, Path(folder), self._logs / "loop", say)
            with shown("") as tell:
                figures = await walk.run(tell)
        if figures.outcome != "promoted":
            raise DependencyError(f"the loop's run was {figures.outcome}: {'; '.join(figures.reasons)}")

    async def _send(self, mails: list[Sample]) -> None:
        sender = Sender(self._settings)
        await sender.start()
        try:
            await sender.send([FoundMail(sample.name, sample.value) for sample in mails])
        finally:
            await sender.stop()
        kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(sample.kind for sample in mails).items())
        _step(self._to, "Mails", f"{sender.sent} sent to mail.raw ({kinds}; {file_size(sender.sent_bytes)})")

    def _heading(self, text: str) -> None:
        self._to.print()
        self._to.print(text, style="bold")

    def _say_dashboard(self, text: str) -> None:
        _step(self._to, "Dashboard", text)

    def _say_done(self, began: float, *, keep: bool, page: str = "") -> None:
        _step(self._to, "Done", f"in {time.monotonic() - began:.0f} s")
        if page:
            self._heading("The dashboards, live")
            self._to.print(f"  [cyan]{page}[/]", soft_wrap=True)
        self._say_next(keep=keep)

    def _say_next(self, *, keep: bool) -> None:
        self._heading("Everything stays up until Ctrl-C. In a second terminal:" if keep else "What to try next")
        command, address = _command(), self._settings.kafka_bootstrap
        tries = (
            (f"export MAILWEIR_KAFKA_BOOTSTRAP={address}", "")
            if keep
            else (f"{command} demo --keep", "all stays up; in a second terminal, with the address it prints:"),
            (f"{command} watch", "decisions as they come; --json for scripts"),
            (f"{command} send {_short(FOLDER)}/en --rate 2", "or your own .eml, mbox, Maildir, .jsonl"),
            (f"{command} dead list", "what was rejected; `dead show` has the bytes"),
            (f"{command} classify FILE.eml", "the same decision without Kafka"),
        )
        width = max(len(line) for line, _ in tries)
        for line, meaning in tries:
            self._to.print(f"  [cyan]{line:<{width}}[/]  [dim]{meaning}[/]", soft_wrap=True)


def _missing_for_loop() -> str:
    """What keeps the loop from being shown; empty if nothing does."""
    lacking = [
        name for name in ("fsspec", "onnx", "phonenumbers", "pyarrow", "sklearn", "stdnum") if find_spec(name) is None
    ]
    if lacking:
        return f"{', '.join(lacking)} not installed: pip install 'mailweir[loop]'"
    from mailweir.models.training.corpus import FOLDER as CORPUS

    return "" if CORPUS.is_dir() else "its mails are in models/corpus of a checkout, which an installed package has not"


def _command() -> str:
    """How this machine's shell finds us."""
    return "mailweir" if shutil.which("mailweir") else str(_short(Path(sys.prefix) / "bin" / "mailweir"))


def _short(path: Path) -> Path:
    """From here, where that is shorter."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


async def _stay(workers: list[WorkerProcess]) -> None:
    """Until Ctrl-C, which is the good end here, or until a worker ends."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    waiting = [asyncio.ensure_future(over.wait()), *(asyncio.ensure_future(w.process.wait()) for w in workers)]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for waiter in waiting:
        waiter.cancel()
    ended = [worker for worker in workers if worker.ended]
    if ended and not over.is_set():
        raise DependencyError(ended[0].failure().message)


def _step(to: Console, name: str, text: str) -> None:
    to.print(f"[bold green]{name:<9}[/]", end=" ")
    to.print(text, markup=False, soft_wrap=True)
