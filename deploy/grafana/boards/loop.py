"""From what people say to a new champion: questions, feedback, shards, runs, promotion, trial."""

from __future__ import annotations

from grafana.panels import Board, Panel, Query, Row

__all__ = ["BOARD"]


def _hour(metric: str, by: str, legend: str) -> Query:
    return Query(f"round(sum by ({by}) (increase({metric}{{$S}}[1h])))", legend)


_PEOPLE = Row(
    "What people say",
    (
        Panel(
            "Questions",
            "short",
            "Questions on the topic: open, answered, and how many may still be asked this UTC day.",
            (
                Query("max(mailweir_review_open{$S})", "open"),
                Query("max(mailweir_review_answered{$S})", "answered"),
                Query("max(mailweir_review_budget_left{$S})", "left of the day"),
            ),
        ),
        Panel(
            "Asked within the hour",
            "short",
            "Decisions that people were asked about, by why: the lot, doubt, news, …",
            (_hour("mailweir_review_asked_total", "why", "{{why}}"),),
        ),
        Panel(
            "Feedback within the hour",
            "short",
            "Words about decisions that were written into the ledger, by origin.",
            (_hour("mailweir_feedback_total", "origin", "{{origin}}"),),
        ),
    ),
)

_SHARDS = Row(
    "From words to a run",
    (
        Panel(
            "Words that no run has learned from",
            "short",
            "What the trigger waits to have enough of. Climbs for days without a run: see the refusals.",
            (Query("max(mailweir_retrain_new_labels{$S})"),),
            width=6,
        ),
        Panel(
            "Shards closed within the hour",
            "short",
            "Files of feedback that were closed, by cause: full, old, or the agent stopped.",
            (_hour("mailweir_shards_total", "cause", "{{cause}}"),),
            width=6,
        ),
        Panel(
            "Trigger",
            "short",
            "Runs asked for and refused within the hour, by reason.",
            (
                _hour("mailweir_retrain_requests_total", "reason", "asked: {{reason}}"),
                _hour("mailweir_retrain_refusals_total", "reason", "refused: {{reason}}"),
            ),
            width=6,
        ),
        Panel(
            "Shards that cannot be read",
            "short",
            "Announced shards whose file is gone or no shard. Above zero: the ledger's disk, or somebody moved files.",
            (Query("max(mailweir_retrain_unreadable_shards{$S})"),),
            "number",
            width=6,
            red_from=1,
        ),
        Panel(
            "Open shards",
            "percentunit",
            "Rows or bytes that are in no shard yet, over the limit at which one closes, by partition.",
            (Query("max by (topic, partition) (mailweir_shard_fill_ratio{$S})", "{{topic}} {{partition}}"),),
            width=12,
        ),
        Panel(
            "Verdicts of the gate within the day",
            "short",
            "Candidates that passed and that were refused. `mailweir retrain status` has the reasons.",
            (Query("round(sum by (verdict) (increase(mailweir_gate_verdicts_total{$S}[1d])))", "{{verdict}}"),),
            width=12,
        ),
    ),
)

_TRAINER = Row(
    "The run",
    (
        Panel(
            "Open and running",
            "short",
            "1 while a run is open, and while its process runs. Open for long without a process: the trainer is stuck.",
            (
                Query("max(mailweir_retrain_open{$S})", "open"),
                Query("sum(mailweir_trainer_running{$S})", "processes"),
            ),
        ),
        Panel(
            "Phase",
            "short",
            "The phase that the run is in.",
            (Query("max by (phase) (mailweir_trainer_phase{$S}) == 1", "{{phase}}"),),
        ),
        Panel(
            "Done of the step",
            "percentunit",
            "Share of the present step of the phase that is done.",
            (Query("max(mailweir_trainer_step_done_ratio{$S})"),),
        ),
        Panel(
            "Runs of the last day",
            "short",
            "Runs by outcome, and those started again after a crash.",
            (
                Query("round(sum by (outcome) (increase(mailweir_trainer_runs_total{$S}[1d])))", "{{outcome}}"),
                Query("round(sum(increase(mailweir_trainer_restarts_total{$S}[1d])))", "started again"),
            ),
            width=6,
        ),
        Panel(
            "Duration of a try",
            "s",
            "Mean over the tries of a day.",
            (
                Query(
                    "sum(increase(mailweir_trainer_try_seconds_sum{$S}[1d])) / "
                    "(sum(increase(mailweir_trainer_try_seconds_count{$S}[1d])) > 0)"
                ),
            ),
            width=6,
        ),
        Panel(
            "Memory of the trainer",
            "bytes",
            "What its processes hold; the limit is a setting, and beyond it the run ends.",
            (Query("max by (instance) (mailweir_trainer_memory_bytes{$S})", "{{instance}}"),),
            width=6,
        ),
        Panel(
            "Loss",
            "none",
            "Of the last batch of fine-tuning.",
            (Query("max(mailweir_trainer_loss{$S})"),),
            width=6,
        ),
    ),
)

_TRIAL = Row(
    "After the promotion",
    (
        Panel(
            "Disagreement with the champion on trial",
            "percentunit",
            "Share of people's verdicts against it, within the window of the trial. No value: too few say anything.",
            (Query("max(mailweir_champion_disagreement_ratio{$S})"),),
            width=12,
        ),
        Panel(
            "Champions demoted within the day",
            "short",
            "Demotions that disagreement called for: done, or failed because nothing sound was before.",
            (Query("round(sum by (outcome) (increase(mailweir_auto_rollbacks_total{$S}[1d])))", "{{outcome}}"),),
            width=12,
        ),
    ),
)

BOARD = Board(
    "loop",
    "Loop",
    "From what people say to a new champion: questions, feedback, shards, runs, promotion, trial.",
    (_PEOPLE, _SHARDS, _TRAINER, _TRIAL),
    since="now-24h",
)
