"""What a run tells about its epochs: lines, an early end, a picture, figures for MLflow."""

from __future__ import annotations

import math
import os
import sqlite3
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from mailweir.models.training.corpus import MailRow, load_mails
from mailweir.models.training.examples import Epoch
from mailweir.models.training.split import Run, Split
from mailweir.models.training.tiny import TINY, tiny_base
from mailweir.models.training.track import STORE, tracked
from mailweir.models.training.train import Given, train_bundle
from mailweir.models.training.tuning import Adapters, Tuning
from mailweir.models.training.watch import PICTURE, Watch
from mailweir.schemas.errors import InputError, SetupError
from mailweir.services.cli.train_options import check_track

pytestmark = pytest.mark.usefixtures("one_thread")

SHORT = Tuning(Adapters(rank=2, alpha=4, frozen=0), heads_epochs=1, epochs=2, batch=32)
HISTORY = [
    Epoch("heads", 0, 3.0, math.nan),
    Epoch("adapters", 0, 2.0, 0.5),
    Epoch("adapters", 1, 1.5, 0.7),
    Epoch("adapters", 2, 1.2, 0.6),
]


class Told:
    """Steps that remember what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def run_of(told: Told) -> Run:
    nobody = np.zeros(0, bool)
    return Run([], Split(nobody, nobody, nobody, (), (), nobody), TINY, told)  # type: ignore[arg-type]


def test_every_epoch_is_told_once_and_the_end_names_what_is_kept(tmp_path: Path) -> None:
    """With its phase, loss, F1 and rate; the last one as well, and that it ended early."""
    told = Told()
    watch = Watch(run_of(told), replace(SHORT, epochs=6, patience=1), tmp_path)
    for seen in (1, 1, 3):
        watch.see(HISTORY[:seen])
    watch.end(HISTORY)
    assert told.lines == [
        "warm-up 1 of 1: loss 3.000",
        "main, epoch 1 of 6: loss 2.000, mean F1 0.5000, rate at 97%",
        "main, epoch 2 of 6: loss 1.500, mean F1 0.7000, rate at 81%",
        "main, epoch 3 of 6: loss 1.200, mean F1 0.6000, rate at 55%",
        "ended after 3 of 6 epochs; kept: epoch 2, mean F1 0.7000",
    ]


def test_the_picture_shows_losses_and_scores(tmp_path: Path) -> None:
    """An SVG of its own beside the checkpoints: a point for each epoch, both phases named, the same file for the same run."""
    Watch(run_of(Told()), SHORT, tmp_path).see(HISTORY)
    drawn = (tmp_path / PICTURE).read_text()
    root = ET.fromstring(drawn)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    texts = {"".join(text.itertext()).strip() for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"epoch", "loss", "heads", "adapters", "mean F1, validation authors"} <= texts
    (tmp_path / PICTURE).unlink()
    Watch(run_of(Told()), SHORT, tmp_path).see(HISTORY)
    assert (tmp_path / PICTURE).read_text() == drawn


def test_without_matplotlib_the_run_goes_on_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy is named once, in the end."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    told = Told()
    Watch(run_of(told), SHORT, tmp_path).end(HISTORY)
    assert told.lines[-1] == "no epochs.svg of the epochs without matplotlib: pip install 'mailweir[report]'"
    assert not (tmp_path / PICTURE).exists()


@pytest.fixture(scope="module")
def rows() -> list[MailRow]:
    return [row for row in load_mails() if row.author in {"ada", "cleo", "dov", "ebru", "iris", "sam"}][::3]


def read(store: Path, question: str) -> list[Any]:
    connection = sqlite3.connect(store)
    try:
        return connection.execute(question).fetchall()
    finally:
        connection.close()


def test_a_tracked_run_is_in_the_store(tmp_path: Path, rows: list[MailRow]) -> None:
    """Its options, loss and F1 of each epoch, the figures of the bundle, its files; ended well."""
    recipe = replace(TINY, tuning=SHORT, validation=("sam",))
    given = Given(tiny_base(rows), checkpoints=tmp_path / "kept", track=tmp_path / "track", quiet=True)
    manifest = train_bundle(tmp_path / "bundle", rows, recipe, given)
    store = tmp_path / "track" / STORE
    options = dict(read(store, "select key, value from params"))
    assert options["tuning.batch"] == "32"
    assert options["tuning.adapters.rank"] == "2"
    assert options["name"] == "email"
    history = manifest.metrics["history"]
    losses = read(store, "select step, value from metrics where key = 'loss' order by step")
    assert losses == [(n, pytest.approx(epoch["loss"])) for n, epoch in enumerate(history)]
    scores = read(store, "select step, value from metrics where key = 'mean_f1' order by step")
    assert scores == [
        (n, pytest.approx(epoch["score"])) for n, epoch in enumerate(history) if epoch["phase"] != "heads"
    ]
    final = dict(read(store, "select key, value from metrics where key like 'test.%'"))
    assert final["test.category.macro_f1"] == pytest.approx(manifest.metrics["test"]["category"]["all"]["macro_f1"])
    tags = dict(read(store, "select key, value from tags"))
    assert tags["mailweir.version"] == manifest.model.version
    assert "model.onnx" in tags["mailweir.files"].split(", ")
    assert read(store, "select status from runs") == [("FINISHED",)]


def test_a_tracked_run_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    """One run in the store, no epoch twice; the next one with the same key is new, and so is one with another."""

    def cut_off() -> None:
        with tracked(tmp_path, "mail", "a") as track:
            assert track is not None
            track.parameters(asdict(SHORT))
            track.epoch(0, HISTORY[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_off()
    assert read(tmp_path / STORE, "select status from runs") == [("FAILED",)]
    with tracked(tmp_path, "mail", "a") as track:
        assert track is not None
        track.parameters(asdict(SHORT))
        for place, epoch in enumerate(HISTORY):
            track.epoch(place, epoch)
    assert read(tmp_path / STORE, "select status from runs") == [("FINISHED",)]
    assert read(tmp_path / STORE, "select step from metrics where key = 'loss' order by step") == [
        (0,),
        (1,),
        (2,),
        (3,),
    ]
    for key in ("a", "b"):
        with tracked(tmp_path, "mail", key):
            pass
    assert len(read(tmp_path / STORE, "select status from runs")) == 3


def test_a_tracked_run_reports_to_nobody(tmp_path: Path) -> None:
    """MLflow's own telemetry is off in a fresh interpreter outside of tests, where it would be on."""
    code = (
        "import sys; from pathlib import Path; from mailweir.models.training.track import tracked\n"
        "with tracked(Path(sys.argv[1]), 'mail', 'a'): from mlflow.telemetry.utils import is_telemetry_disabled as off; print(off())"
    )
    ours = {"PYTEST_CURRENT_TEST", "CI", "GITHUB_ACTIONS", "DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY"}
    outside = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=outside,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.strip() == "True"


def test_a_store_that_is_none_is_named(tmp_path: Path) -> None:
    """Before anything is trained."""
    (tmp_path / STORE).write_text("notes")
    with (
        pytest.raises(InputError, match=r"mlflow\.db is no store of MLflow: delete it"),
        tracked(tmp_path, "mail", "a"),
    ):
        pass


def test_without_mlflow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And nothing is asked for where nothing is tracked."""
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(
        SetupError, match=r"--track needs mlflow, which is not installed: pip install 'mailweir\[track\]'"
    ):
        check_track(tmp_path)
    check_track(None)
