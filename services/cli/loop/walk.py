"""One walk through the loop on a Kafka: mails, decisions, corrections, shards, a run, a better champion, and back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailweir.models.registry import Registry
from mailweir.schemas.errors import DependencyError
from mailweir.schemas.events import Feedback, ModelRef, RawEmail, utc_now
from mailweir.schemas.topics import CLASSIFIED, FEEDBACK
from mailweir.services.cli.children import WorkerProcess, check_running, running_workers
from mailweir.services.cli.figures import scrape
from mailweir.services.cli.loop.decisions import Decisions
from mailweir.services.cli.loop.figures import CLASS, LoopFigures
from mailweir.services.cli.opening import open_topic
from mailweir.services.cli.reading import FoundMail
from mailweir.services.cli.send import Sender
from mailweir.services.cli.words import word_about, word_record
from mailweir.services.settings import Settings
from mailweir.services.stream import KafkaBus
from mailweir.services.topics import apply

if TYPE_CHECKING:
    from mailweir.models.training.corpus import MailRow
    from mailweir.schemas.events import RetrainRequested
    from mailweir.services.cli.loop.lesson import Lesson
    from mailweir.services.trainer.progress import Tell

__all__ = ["LoopWalk"]

Say = Callable[[str, str], None]
"""Told when a step is done: its name, and what came of it."""

WORKERS = (("ingest", "feedback", "retrain"), ("classify",), ("classify",))
_PEOPLE = 12  # nobody of them says enough to be capped
_PATIENCE_S = 90.0  # for a step; each takes a few seconds where the machine has nothing else to do
_PARTITIONS = 2


class LoopWalk:
    """Steps of one walk; topics and groups have a prefix of their own, everything else is below `folder`."""

    _decisions: Decisions  # from `run` on

    def __init__(self, settings: Settings, folder: Path, logs: Path, say: Say) -> None:
        """`settings` name the Kafka; `logs` is the folder of what the workers say, made if it is not there."""
        self.figures = LoopFigures()
        self._folder = folder
        self._logs = logs
        self._say = say
        self._settings = settings.model_copy(update=_changes(folder))
        self._registry = Registry(folder / "registry")
        self._began = time.monotonic()

    async def run(self, tell: Tell) -> LoopFigures:
        """All of it. `tell` hears of the training run's progress.

        Raises:
            DependencyError: a worker ended, or a step was not done in time; the message names the logs.
            ImportError: a package of the extra `loop` is missing.
        """
        lesson = await asyncio.to_thread(self._prepare)
        self._done(
            "Champion", f"{self.figures.first}, a small one made just now, which has seen little mail about {CLASS}"
        )
        await apply(self._settings, partitions=_PARTITIONS)
        async with open_topic(self._settings, CLASSIFIED) as topic, self._workers() as workers:
            self._decisions = Decisions(topic)
            await self._decide(lesson, workers)
            await self._correct(lesson)
            await self._train(workers, tell)
            if self.figures.outcome == "promoted":
                await self._decide_better(lesson, workers)
                await self._go_back(lesson, workers)
        return self.figures

    def _prepare(self) -> Lesson:
        from mailweir.services.cli.loop.lesson import make_champion, make_lesson

        lesson = make_lesson(self._folder)
        manifest = make_champion(self._folder / "champion", lesson)
        entry, _ = self._registry.add(self._folder / "champion")
        self._registry.promote(entry.model, expected=None, cause="the first", by="demo")
        self.figures.first = manifest.model.version
        return lesson

    @asynccontextmanager
    async def _workers(self) -> AsyncIterator[list[WorkerProcess]]:
        self._logs.mkdir(parents=True, exist_ok=True)
        environment = {f"MAILWEIR_{name.upper()}": str(value) for name, value in _changes(self._folder).items()}
        async with running_workers(self._settings, WORKERS, self._logs, environment) as workers:
            self._done("Workers", f"{len(workers)} processes: ingest, feedback and retrain in one, classify in two")
            yield workers

    async def _decide(self, lesson: Lesson, workers: Sequence[WorkerProcess]) -> None:
        figures, mails = self.figures, [*lesson.taught, *lesson.seen]
        await self._send(mails)
        await self._collect({row.id for row in mails}, figures.first, workers)
        figures.seen, figures.others = (len(rows) for rows in _parted(lesson.seen))
        figures.before, figures.others_before = (self._right(rows) for rows in _parted(lesson.seen))
        told = f"{len(mails)} mails decided by {figures.first}; right on {figures.before} of {figures.seen} mails about {CLASS}"
        self._done("Decisions", told)

    async def _correct(self, lesson: Lesson) -> None:
        """People say of every mail that is taught what category it is."""
        self.figures.words = len(lesson.taught)
        self.figures.wrong = self.figures.words - self._right(lesson.taught)
        sink = self._bus().sink()
        await sink.start()
        try:
            began = utc_now()  # one a millisecond: which are the newest must not depend on the machine
            given = (began + timedelta(milliseconds=number) for number in range(self.figures.words))
            words = [
                self._word(row, f"person-{number % _PEOPLE}", at)
                for number, (row, at) in enumerate(zip(lesson.taught, given, strict=True))
            ]
            await sink.send([word_record(self._settings, word, "demo") for word in words])
        finally:
            await sink.stop()
        told = f"{self.figures.words} words of {_PEOPLE} people, {self.figures.wrong} of them corrections"
        self._done("Feedback", f"{told}, on {self._settings.topic_name(FEEDBACK.name)}")

    async def _train(self, workers: Sequence[WorkerProcess], tell: Tell) -> None:
        """The trigger asks when all words are in shards; the run is carried out here."""
        from mailweir.models.training.gate import Limits
        from mailweir.services.trainer.job import run_job

        request = await self._requested(workers)
        self.figures.shards, self.figures.run_id = len(request.shards), request.run_id
        self._done("Shards", f"{len(request.shards)} closed; the trigger asks for a run: {request.cause}")
        # the gate as it is, but for what a network 32 wide cannot keep (it loses more by int8 than a real one) and a shown one
        # need not (the machine may have other work, and the milliseconds are not what is shown)
        limits = Limits(latency_ratio=1e6, parity_agreement=0.9, parity_cost=0.1)
        end = await asyncio.to_thread(run_job, self._settings, self._bus, request.run_id, tell, limits)
        self.figures.outcome, self.figures.reasons = end.outcome, end.reasons
        if end.candidate:
            self.figures.second = end.candidate.version
        told = "; ".join(end.reasons) or f"{self.figures.second} passed the gate and is champion"
        self._done("Run", f"{end.outcome}: {told}")

    async def _decide_better(self, lesson: Lesson, workers: Sequence[WorkerProcess]) -> None:
        figures, classify = self.figures, [worker for worker in workers if worker.stage == "classify"]
        for worker in classify:
            await self._until(partial(_serves, worker, figures.second), f"swap to {figures.second}", workers)
        figures.workers_swapped = len(classify)
        self._done("Swap", f"both classify workers serve {figures.second}")
        await self._send(lesson.seen)
        await self._collect({row.id for row in lesson.seen}, figures.second, workers)
        figures.after, figures.others_after = (self._right(rows) for rows in _parted(lesson.seen))
        told = f"right on {figures.after} of {figures.seen} mails about {CLASS} (before {figures.before}), on "
        self._done(
            "Better", f"{told}{figures.others_after} of {figures.others} others (before {figures.others_before})"
        )

    async def _go_back(self, lesson: Lesson, workers: Sequence[WorkerProcess]) -> None:
        """Somebody has doubts: the version is demoted, and what it decided is decided again."""
        from mailweir.services.classify.again.demotion import demotion_of
        from mailweir.services.classify.again.reclassify import Repair, Report

        bad = ModelRef(name="email", version=self.figures.second)
        self._registry.rollback("email", expected=bad.version, cause="the demo goes back", by="demo")
        demotion = demotion_of(self._registry, bad)
        report = await Repair(self._bus(), self._settings, self._registry, demotion).run(Report())
        self.figures.redecided = report.redecided
        await self._collect({row.id for row in lesson.seen}, self.figures.first, workers)
        latest = [self._decisions[row.id] for row in lesson.seen]
        superseding = self.figures.superseding = sum(one.supersedes is not None for one in latest)
        told = f"{report.redecided} mails that {bad.version} had decided are decided again by {self.figures.first}"
        named = "each names" if superseding == report.redecided else f"{superseding} of them name"
        self._done("Rollback", f"{told}, {named} what it supersedes")

    async def _send(self, rows: Sequence[MailRow]) -> None:
        from mailweir.services.cli.loop.lesson import as_json

        sender = Sender(self._settings)
        await sender.start()
        try:
            mails = [(row, as_json(row)) for row in rows]
            await sender.send([FoundMail(row.id, value, RawEmail.decode(value), row.id) for row, value in mails])
        finally:
            await sender.stop()

    async def _collect(self, wanted: set[str], version: str, workers: Sequence[WorkerProcess]) -> None:
        """Until that version was the last to decide each of these mails."""
        reached = partial(self._decisions.last_by, version, wanted)
        await self._until(reached, f"decisions by {version}", workers)

    async def _requested(self, workers: Sequence[WorkerProcess]) -> RetrainRequested:
        from mailweir.services.cli.retrain import read_history

        found: list[RetrainRequested] = []

        async def asked() -> bool:
            run = (await read_history(self._settings)).last
            found[:] = [run.request] if run else []
            return bool(found)

        await self._until(asked, "a request for a run", workers)
        return found[0]

    async def _until(self, reached: Callable[[], Awaitable[bool]], what: str, workers: Sequence[WorkerProcess]) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while not await reached():
                    check_running(workers)
                    await asyncio.sleep(0.2)
        except TimeoutError as error:
            message = f"{what}: not there after {_PATIENCE_S:.0f} s; see the logs in {self._logs}"
            raise DependencyError(message) from error

    def _bus(self) -> KafkaBus:
        """One for each event loop."""
        return KafkaBus(self._settings)

    def _word(self, row: MailRow, person: str, at: datetime) -> Feedback:
        return word_about(self._decisions[row.id], person, [f"category={row.label('category')}"], None, at=at)

    def _right(self, rows: Sequence[MailRow]) -> int:
        return sum(self._decisions[row.id].heads["category"].label == row.label("category") for row in rows)

    def _done(self, step: str, text: str) -> None:
        now = time.monotonic()
        self.figures.seconds[step.lower()] = round(now - self._began, 1)
        self._began = now
        self._say(step, text)


async def _serves(worker: WorkerProcess, version: str) -> bool:
    return (await scrape(worker.metrics)).total("mailweir_bundle_info", version=version) == 1


def _parted(rows: Sequence[MailRow]) -> tuple[list[MailRow], list[MailRow]]:
    """Mails of the class, and others."""
    ours = [row for row in rows if row.label("category") == CLASS]
    return ours, [row for row in rows if row.label("category") != CLASS]


def _changes(folder: Path) -> dict[str, Any]:
    """Settings of the walk: small shards, a trigger that waits for every word and for nothing else, a registry of its own."""
    return {
        "topic_prefix": "loop",
        "group_prefix": "loop",
        "registry": folder / "registry",
        "registry_poll_ms": 300,
        "bundle": folder / "champion",
        "ledger": str(folder / "ledger"),
        "feedback_batch_wait_ms": 300,
        "shard_rows": 100,
        "shard_seconds": 3.0,
        "retrain_min_labels": 300,
        "retrain_min_class": 10_000,
        "retrain_burn_factor": 1e6,
        "retrain_min_interval_hours": 0.0,
        "retrain_look_seconds": 1.0,
        "rollback_auto": False,
        "trainer_dir": folder / "runs",
        "trainer_corpus": folder / "corpus",
        "trainer_holdout": folder / "holdout.jsonl",
    }
