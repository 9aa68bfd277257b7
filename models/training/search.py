"""A search for better options of fine-tuning: short trials on a part of the rows, the hopeless ones cut off.

The study is kept in a file beside the checkpoints: asked for more trials, it goes on where it ended. Trials are compared on the
validation authors; the test authors have no part in it.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import optuna
from optuna.trial import TrialState

from mailweir.models.export.weights import Floats
from mailweir.models.training.examples import Score
from mailweir.models.training.prepare import Prepared
from mailweir.models.training.split import Run
from mailweir.models.training.sqlite import is_sqlite
from mailweir.models.training.trial import Subset, attempt, subset_of
from mailweir.models.training.tuned import score_of
from mailweir.models.training.tuning import Tuning
from mailweir.schemas.errors import InputError

STUDY = "search.db"
_PART = 4  # of the rows to learn from, one in so many: the order of options is about that of all rows, at a quarter of the cost
_EPOCHS = 3
_UNPRUNED = 4  # trials before one can be cut off: a median of fewer says nothing
_RANKS = (4, 8, 16, 32)


def search(run: Run, ready: Prepared, trials: int, folder: Path) -> Tuning:
    """The run's tuning with the rate, rank, frozen layers and focal gamma that did best in `trials` trials, old ones included.

    The first trial is the tuning as it is.

    Raises:
        InputError: the run has no validation author, the study's file is none, or every trial failed.
    """
    base = run.recipe.tuning
    if base is None or not run.split.validating.any():
        raise InputError("a search compares on validation authors, and no row is by one: name rows of theirs as well")
    subset = subset_of(run, ready, _PART)
    study = _study(folder / STUDY, run, subset.key(base))
    layers = len(ready.encoder.layers)
    if not study.trials:
        usual = {"rate": base.adapters_rate, "rank": base.adapters.rank, "focal": base.focal}
        study.enqueue_trial(usual | {"frozen": min(base.adapters.frozen, layers - 1)})
    left = trials - sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in study.trials)
    with run.steps.step("search", max(left, 0)) as advance:

        def told(_: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
            advance(1)
            score = "cut off" if trial.value is None or trial.state == TrialState.PRUNED else f"{trial.value:.4f}"
            options = ", ".join(f"{name} {value:.4g}" for name, value in trial.params.items())
            run.steps.say(f"trial {trial.number}: {options}: {score}")

        if left > 0:
            study.optimize(_objective(run, ready, subset, base), n_trials=left, callbacks=[told])
    return chosen(base, study.best_params)


def chosen(base: Tuning, options: dict[str, float]) -> Tuning:
    """`base` with the options of a trial; alpha stays twice the rank, so that a change of rank is no change of rate."""
    rank = int(options["rank"])
    shape = replace(base.adapters, rank=rank, alpha=2 * rank, frozen=int(options["frozen"]))
    return replace(base, adapters=shape, adapters_rate=float(options["rate"]), focal=float(options["focal"]))


def _study(file: Path, run: Run, key: str) -> optuna.Study:
    if file.exists() and not is_sqlite(file):
        raise InputError(f"{file} is no study: delete it to start anew", path=str(file))
    file.parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(f"sqlite:///{file}")
    study = optuna.create_study(
        storage=storage,
        study_name=f"{run.recipe.name} {key}",
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_UNPRUNED, n_warmup_steps=0),
        load_if_exists=True,
    )
    # a sampler that began anew with the same seed would ask the same again
    study.sampler = optuna.samplers.TPESampler(seed=run.recipe.seed + len(study.trials))
    return study


def _objective(run: Run, ready: Prepared, subset: Subset, base: Tuning) -> Callable[[optuna.Trial], float]:
    layers, score = len(ready.encoder.layers), score_of(run)

    def objective(trial: optuna.Trial) -> float:
        ranks = sorted({*_RANKS, base.adapters.rank})
        options = {
            "rate": trial.suggest_float("rate", 1e-4, 1e-2, log=True),
            "rank": trial.suggest_categorical("rank", ranks),
            "frozen": trial.suggest_int("frozen", 0, layers - 1),
            "focal": trial.suggest_float("focal", 0.0, 3.0),
        }
        tuner = attempt(run, ready, subset, (chosen(base, options), _EPOCHS), _pruned(trial, score))
        return max(epoch.score for epoch in tuner.history if epoch.phase == "adapters")

    return objective


def _pruned(trial: optuna.Trial, score: Score) -> Score:
    """`score`, told to the study after each epoch, which may end the trial."""
    epoch = 0

    def told(logits: Floats) -> float:
        nonlocal epoch
        reached = score(logits)
        trial.report(reached, epoch)
        epoch += 1
        if trial.should_prune():
            raise optuna.TrialPruned
        return reached

    return told
