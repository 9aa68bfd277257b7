"""A run in MLflow, as a file of its own on this machine: options, figures of each epoch, what the bundle came to.

Needs the extra track. Nothing is sent anywhere: the store is an SQLite file, and `mailweir.models` switches MLflow's own reports off.
"""

import logging
import math
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailweir.models.training.examples import Epoch
from mailweir.models.training.measure import ALL
from mailweir.models.training.sqlite import is_sqlite
from mailweir.schemas.errors import InputError
from mailweir.schemas.manifest import Manifest

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

STORE = "mlflow.db"
_KEY = "mailweir.key"  # tag by which a run that was cut off is found again
_LONGEST = 500  # characters of a parameter that every MLflow takes


class Track:
    """One run of an experiment."""

    def __init__(self, client: "MlflowClient", run: str) -> None:
        self._client = client
        self.run = run

    def parameters(self, options: Mapping[str, Any]) -> None:
        """Options of the run, those of a group as `group.option`."""
        from mlflow.entities import Param

        self._client.log_batch(self.run, params=[Param(name, value[:_LONGEST]) for name, value in _flat(options)])

    def epoch(self, place: int, epoch: Epoch) -> None:
        """Loss and, where it was measured, mean F1 of the epoch at `place` of the whole run; one that is there stays."""
        there = {metric.step for metric in self._client.get_metric_history(self.run, "loss")}
        if place not in there:
            self._client.log_metric(self.run, "loss", epoch.loss, step=place)
            if not math.isnan(epoch.score):
                self._client.log_metric(self.run, "mean_f1", epoch.score, step=place)

    def bundle(self, out: Path, manifest: Manifest) -> None:
        """The figures on the test authors, and where the files are that were made."""
        from mlflow.entities import Metric, RunTag

        now, figures = int(time.time() * 1000), _figures(manifest)
        said = {"bundle": str(out), "version": manifest.model.version, "files": ", ".join(sorted(manifest.files))}
        self._client.log_batch(
            self.run,
            metrics=[Metric(name, value, now, 0) for name, value in figures],
            tags=[RunTag(f"mailweir.{name}", value) for name, value in said.items()],
        )


def _flat(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)


def _figures(manifest: Manifest) -> Iterator[tuple[str, float]]:
    for head, slices in manifest.metrics["test"].items():
        for name, value in slices[ALL].items():
            if isinstance(value, int | float) and not math.isnan(value):
                yield f"test.{head}.{name}", float(value)


@contextmanager
def tracked(folder: Path | None, name: str, key: str) -> Iterator[Track | None]:
    """A run of the experiment `name` in the store of `folder`; None without one.

    A run with the same `key` that did not end well goes on.

    Raises:
        InputError: the store is there and is none.
        ImportError: MLflow is missing.
    """
    if folder is None:
        yield None
        return
    client = _client(folder)
    run = _run(client, name, key, folder)
    try:
        yield Track(client, run)
    except BaseException:
        client.set_terminated(run, "FAILED")
        raise
    client.set_terminated(run, "FINISHED")


def _client(folder: Path) -> "MlflowClient":
    folder.mkdir(parents=True, exist_ok=True)
    file = folder.resolve() / STORE
    if file.exists() and not is_sqlite(file):
        raise InputError(f"{file} is no store of MLflow: delete it, or name another folder", path=str(file))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its own use of SQLAlchemy
        from mlflow.tracking import MlflowClient

        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        return MlflowClient(tracking_uri=f"sqlite:///{file}")


def _run(client: "MlflowClient", name: str, key: str, folder: Path) -> str:
    experiment = client.get_experiment_by_name(name)
    kept = str(folder.resolve() / "artifacts")
    number = experiment.experiment_id if experiment else client.create_experiment(name, artifact_location=kept)
    for run in client.search_runs([number]):
        if run.data.tags.get(_KEY) == key and run.info.status != "FINISHED":
            client.update_run(run.info.run_id, "RUNNING")
            return str(run.info.run_id)
    return str(client.create_run(number, tags={_KEY: key}).info.run_id)
