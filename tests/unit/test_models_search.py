"""The search over options: trials on a part of the rows, a study that goes on, the best options in the bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from mailweir.models.training.corpus import MailRow, load_mails
from mailweir.models.training.prepare import Prepared, prepare
from mailweir.models.training.recipe import Steps, progress_bars
from mailweir.models.training.search import STUDY, chosen, search
from mailweir.models.training.split import Run, Split
from mailweir.models.training.tiny import TINY, tiny_base
from mailweir.models.training.train import Given, train_bundle
from mailweir.models.training.tuning import Adapters, Tuning
from mailweir.schemas.errors import InputError

pytestmark = pytest.mark.usefixtures("one_thread")

SHORT = Tuning(Adapters(rank=4, alpha=8, frozen=0), heads_epochs=1, epochs=1, batch=32)
RECIPE = replace(TINY, tuning=SHORT, validation=("sam",))


@pytest.fixture(scope="module")
def rows() -> list[MailRow]:
    return [row for row in load_mails() if row.author in {"ada", "cleo", "dov", "ebru", "sam"}][::4]


@pytest.fixture(scope="module")
def ready(rows: list[MailRow]) -> tuple[Run, Prepared]:
    split = Split.by_author(rows, RECIPE.folds, RECIPE.test, RECIPE.validation)
    run = Run(rows, split, RECIPE, Steps(progress_bars(hidden=True)))
    return run, prepare(tiny_base(rows), run)


def trials(folder: Path) -> list[optuna.trial.FrozenTrial]:
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / STUDY}")
    (study,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=study, storage=storage).trials


def test_a_search_finds_the_best_of_its_trials(tmp_path: Path, ready: tuple[Run, Prepared]) -> None:
    """The first trial is the tuning as it is, so the best is never worse; asked for more, it goes on."""
    found = search(*ready, 2, tmp_path)
    first = trials(tmp_path)
    assert len(first) == 2
    assert first[0].params == {"rate": SHORT.adapters_rate, "rank": 4, "focal": 0.0, "frozen": 0}
    best = max(first, key=lambda trial: trial.value or -1)
    assert found == chosen(SHORT, best.params)
    assert all(0 < (trial.value or 0) < 1 for trial in first)
    search(*ready, 3, tmp_path)
    again = trials(tmp_path)
    assert [trial.params for trial in again[:2]] == [trial.params for trial in first]
    assert len(again) == 3
    assert len({trial.params["rate"] for trial in again}) == 3
    search(*ready, 3, tmp_path)
    assert len(trials(tmp_path)) == 3


def test_a_hopeless_trial_is_cut_off(
    tmp_path: Path, ready: tuple[Run, Prepared], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its first epoch, once there are trials to compare with; a trial that was cut off counts as done."""
    falling = iter(1 / n for n in range(1, 1_000))
    monkeypatch.setattr("mailweir.models.training.search.score_of", lambda _: lambda _: next(falling))
    search(*ready, 6, tmp_path)
    states = [trial.state for trial in trials(tmp_path)]
    assert states[:4] == [optuna.trial.TrialState.COMPLETE] * 4
    assert states[4:] == [optuna.trial.TrialState.PRUNED] * 2
    assert [len(trial.intermediate_values) for trial in trials(tmp_path)] == [3, 3, 3, 3, 1, 1]


def test_the_bundle_says_what_was_found(tmp_path: Path, rows: list[MailRow]) -> None:
    """Its options are those of the best trial, and its command sets them."""
    given = Given(tiny_base(rows), checkpoints=tmp_path / "kept", trials=2, quiet=True)
    manifest = train_bundle(tmp_path / "bundle", rows, RECIPE, given)
    best = max(trials(tmp_path / "kept"), key=lambda trial: trial.value or -1)
    options = manifest.recipe["options"]["tuning"]
    assert options["adapters"]["rank"] == best.params["rank"]
    assert options["adapters_rate"] == pytest.approx(best.params["rate"])
    assert f"--set rank={best.params['rank']}" in manifest.recipe["command"]


def test_what_a_search_cannot_use_is_named(tmp_path: Path, ready: tuple[Run, Prepared]) -> None:
    """A file that is no study; rows without a validation author."""
    (tmp_path / STUDY).write_bytes(b"notes")
    with pytest.raises(InputError, match=r"search\.db is no study: delete it"):
        search(*ready, 1, tmp_path)
    run, prepared = ready
    without = replace(run, split=replace(run.split, validating=run.split.validating & False))
    with pytest.raises(InputError, match="compares on validation authors"):
        search(without, prepared, 1, tmp_path)
