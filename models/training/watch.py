"""What a run tells about its epochs: a line for each, a picture beside the checkpoints, figures for MLflow."""

from collections.abc import Sequence
from importlib import util
from pathlib import Path

from mailweir.models.training.examples import Epoch
from mailweir.models.training.schedule import rate, stage
from mailweir.models.training.split import Run
from mailweir.models.training.tuning import Tuning

PICTURE = "epochs.svg"


class Watch:
    """Looks at the history of a run after every batch."""

    def __init__(self, run: Run, tuning: Tuning, folder: Path | None) -> None:
        """`folder` takes the picture; None for none."""
        self._run = run
        self._tuning = tuning
        self._folder = folder
        self._seen = 0

    def see(self, history: Sequence[Epoch]) -> None:
        """Tell of the epochs since the last call."""
        fresh = range(self._seen, len(history))
        self._seen = len(history)
        for place in fresh:
            self._run.steps.say(self._line(history[place]))
            if self._run.track:
                self._run.track.epoch(place, history[place])
        if fresh and self._folder:
            self._draw(history, self._folder)

    def end(self, history: Sequence[Epoch]) -> None:
        """Tell of the last epoch, of an early end, and which epoch's weights are kept."""
        self.see(history)
        run = [epoch for epoch in history if epoch.phase == "adapters"]
        best = max(reversed(run), key=lambda epoch: epoch.score)
        early = f"ended after {len(run)} of {self._tuning.epochs} epochs; " if len(run) < self._tuning.epochs else ""
        self._run.steps.say(f"{early}kept: epoch {best.number + 1}, mean F1 {best.score:.4f}")
        if self._folder and util.find_spec("matplotlib") is None:
            self._run.steps.say(f"no {PICTURE} of the epochs without matplotlib: pip install 'mailweir[report]'")

    def _line(self, epoch: Epoch) -> str:
        if epoch.phase == "heads":
            return f"warm-up {epoch.number + 1} of {self._tuning.heads_epochs}: loss {epoch.loss:.3f}"
        epochs = self._tuning.epochs
        reached = rate(round(1000 * (epoch.number + 1) / epochs), 1000)
        place = f"{stage(epoch.number, epochs)}, epoch {epoch.number + 1} of {epochs}"
        return f"{place}: loss {epoch.loss:.3f}, mean F1 {epoch.score:.4f}, rate at {reached:.0%}"

    def _draw(self, history: Sequence[Epoch], folder: Path) -> None:
        if util.find_spec("matplotlib") is None:
            return
        from mailweir.models.training.data.charts import epoch_curves

        losses: dict[str, list[float]] = {}
        for epoch in history:
            losses.setdefault(epoch.phase, []).append(epoch.loss)
        drawn = epoch_curves(losses, [epoch.score for epoch in history if epoch.phase == "adapters"])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PICTURE).write_text(drawn, encoding="utf-8")
