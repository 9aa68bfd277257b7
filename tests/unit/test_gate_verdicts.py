"""The gate's verdicts, counted from the ends of runs."""

from __future__ import annotations

from datetime import timedelta

from shards import EMAIL, NOON

from mailweir.schemas.events import ModelRef, RetrainFinished, RetrainRequested
from mailweir.services.retrain.verdicts import GateVerdicts
from mailweir.services.runs.history import History
from mailweir.services.telemetry import Metrics

FIGURES = {"holdout.category.candidate": 0.9}


def _ended(history: History, run_id: str, **end: object) -> None:
    champion = ModelRef(name="email", version="1")
    request = RetrainRequested(
        run_id=run_id, shards=(), champion=champion, taxonomy=EMAIL, cause="x", requested_by="policy", requested_at=NOON
    )
    history.requested(request)
    history.finished(RetrainFinished.model_validate({"run_id": run_id, "finished_at": NOON} | end))


def test_each_verdict_is_counted_once_from_the_first_look_on() -> None:
    """What was there before is past; a run that never came to the gate, or failed, has no verdict; one that passed too late passed."""
    history, metrics = History(timedelta(hours=1)), Metrics()
    verdicts = GateVerdicts(metrics)
    _ended(history, "before", outcome="promoted", metrics=FIGURES)
    verdicts.count(history)
    _ended(history, "a", outcome="promoted", metrics=FIGURES)
    _ended(history, "b", outcome="refused", metrics=FIGURES, reasons=("category fell",))
    verdicts.count(history)
    _ended(history, "c", outcome="refused", reasons=("nothing to learn from",))
    _ended(history, "d", outcome="failed", metrics=FIGURES)
    _ended(history, "e", outcome="refused", metrics=FIGURES, reasons=("champion_changed: look again",))
    verdicts.count(history)
    verdicts.count(history)
    value = metrics.registry.get_sample_value
    counted = {name: value("mailweir_gate_verdicts_total", {"verdict": name}) for name in ("passed", "refused")}
    assert counted == {"passed": 2, "refused": 1}
