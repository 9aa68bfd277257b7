"""Every metric of a worker, declared once. Names and units follow the Prometheus conventions: base units, `_total`."""

from __future__ import annotations

from typing import get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

from mailweir.schemas.events import ReviewWhy

__all__ = ["Metrics"]

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_LONG_SECONDS = (10.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 57600.0, 86400.0)
_MAILS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)


class Metrics:
    """The metrics of one process, on a registry of its own so that two workers in one test do not share counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._declare_stream()
        self._declare_stages()
        self._declare_swaps()
        self._declare_shadow()
        self._declare_feedback()
        self._declare_trial()
        self._declare_trainer()
        self._declare_review()

    def _declare_stream(self) -> None:
        on = self.registry
        self.mails = Counter(
            "mailweir_mails", "Records that a stage finished: published or rejected.", ["stage", "outcome"], registry=on
        )
        self.rejects = Counter(
            "mailweir_rejects", "Records sent to the dead letters, by error code.", ["stage", "code"], registry=on
        )
        self.redelivered = Counter(
            "mailweir_redelivered", "Records handed to a stage again, by cause.", ["stage", "cause"], registry=on
        )
        self.retries = Counter(
            "mailweir_dependency_retries", "Tries repeated because something was away.", ["stage", "step"], registry=on
        )
        self.commits = Counter("mailweir_commits", "Offset commits, by outcome.", ["stage", "outcome"], registry=on)
        self.rebalances = Counter("mailweir_rebalances", "Assignments of partitions received.", ["stage"], registry=on)
        self.missing = Counter(
            "mailweir_missing_offsets",
            "Offsets that the broker does not have: expired unread, compacted or transaction marks.",
            ["stage"],
            registry=on,
        )
        self.contact = Gauge(
            "mailweir_broker_contact_seconds", "Seconds since a broker last answered.", ["stage"], registry=on
        )
        self.partitions = Gauge("mailweir_assigned_partitions", "Partitions assigned now.", ["stage"], registry=on)
        self.lag_records = Gauge(
            "mailweir_lag_records", "Records behind the end of the partition.", ["stage", "partition"], registry=on
        )
        self.lag_seconds = Gauge(
            "mailweir_lag_seconds",
            "Age of the oldest record not yet finished, at most; 0 if none, NaN where nobody knows yet.",
            ["stage", "partition"],
            registry=on,
        )

        self.spans = Counter(
            "mailweir_spans",
            "Spans of traces: sent, failed because the collector took them not, or dropped because too many waited.",
            ["outcome"],
            registry=on,
        )

    def _declare_swaps(self) -> None:
        on = self.registry
        self.swaps = Counter("mailweir_model_swaps", "Bundles that took over while mail went on.", registry=on)
        self.swap_failures = Counter(
            "mailweir_model_swap_failures",
            "Tries to follow the registry that failed, the old bundle serves on; by error code.",
            ["code"],
            registry=on,
        )
        for code in ("bundle", "registry", "settings", "unexpected"):  # a counter that begins at 1 shows no increase
            self.swap_failures.labels(code)

    def _declare_shadow(self) -> None:
        on = self.registry
        self.shadow = Gauge(
            "mailweir_shadow_info",
            "1 for the bundle that scores beside the champion.",
            ["name", "version"],
            registry=on,
        )
        self.shadow_decisions = Counter(
            "mailweir_shadow_decisions", "Decisions of the shadow that were published.", ["version"], registry=on
        )
        self.shadow_dropped = Counter(
            "mailweir_shadow_dropped", "Mails of the sample that the shadow was too late for.", registry=on
        )
        self.shadow_failures = Counter(
            "mailweir_shadow_failures",
            "Mails of the sample that the shadow could not decide or publish, by error code.",
            ["code"],
            registry=on,
        )
        self.shadow_load_failures = Counter(
            "mailweir_shadow_load_failures",
            "Tries to follow the registry's shadow that failed, the champion serves on; by error code.",
            ["code"],
            registry=on,
        )
        for code in ("bundle", "registry", "settings", "unexpected"):
            self.shadow_load_failures.labels(code)

    def _declare_feedback(self) -> None:
        on = self.registry
        self.feedback = Counter(
            "mailweir_feedback", "Words about decisions that were written into the ledger.", ["origin"], registry=on
        )
        self.verdicts = Counter(
            "mailweir_verdicts",
            "People's verdicts on heads of decisions, by sample: of the review queue's lot, or given of themselves.",
            ["head", "version", "sample", "verdict"],
            registry=on,
        )
        self.verdict_weight = Counter(
            "mailweir_verdict_weight",
            "The lot's verdicts, each by the inverse of its chance: right over all is the realised accuracy.",
            ["head", "version", "verdict"],
            registry=on,
        )
        self.shards = Counter("mailweir_shards", "Shards of feedback closed, by cause.", ["cause"], registry=on)
        self.retrain_requests = Counter(
            "mailweir_retrain_requests", "Training runs that the trigger asked for, by reason.", ["reason"], registry=on
        )
        self.retrain_refusals = Counter(
            "mailweir_retrain_refusals", "Times the trigger asked for no run, by reason.", ["reason"], registry=on
        )
        self.retrain_open = Gauge("mailweir_retrain_open", "1 while a training run goes on.", registry=on)
        self.retrain_new_labels = Gauge(
            "mailweir_retrain_new_labels", "Words of people that no run has learned from.", registry=on
        )
        self.retrain_unreadable = Gauge(
            "mailweir_retrain_unreadable_shards",
            "Announced shards whose file is gone, no shard, or not below the ledger.",
            registry=on,
        )

    def _declare_trainer(self) -> None:
        on = self.registry
        self.trainer_runs = Counter(
            "mailweir_trainer_runs",
            "Runs that this worker carried out, by outcome; left: stopped with the worker, and still open.",
            ["outcome"],
            registry=on,
        )
        self.trainer_seconds = Histogram(
            "mailweir_trainer_try_seconds", "Duration of a try of a run.", buckets=_LONG_SECONDS, registry=on
        )
        self.trainer_restarts = Counter("mailweir_trainer_restarts", "Runs started again after a crash.", registry=on)
        self.trainer_running = Gauge("mailweir_trainer_running", "1 while the trainer's process runs.", registry=on)
        self.trainer_memory = Gauge(
            "mailweir_trainer_memory_bytes", "Memory that the trainer's processes hold; 0 where none runs.", registry=on
        )
        self.trainer_phase = Gauge(
            "mailweir_trainer_phase", "1 for the phase that the training run is in.", ["phase"], registry=on
        )
        self.trainer_done = Gauge(
            "mailweir_trainer_step_done_ratio", "Share of the present step of the phase that is done.", registry=on
        )
        self.trainer_loss = Gauge("mailweir_trainer_loss", "Loss of the last batch of fine-tuning.", registry=on)

    def _declare_review(self) -> None:
        on = self.registry
        self.review_asked = Counter(
            "mailweir_review_asked", "Decisions that people are asked about, by why.", ["why"], registry=on
        )
        for why in get_args(ReviewWhy):
            self.review_asked.labels(why)
        self.review_budget_left = Gauge(
            "mailweir_review_budget_left", "Questions that may still be asked this UTC day.", registry=on
        )
        self.review_open = Gauge("mailweir_review_open", "Questions that nobody has answered.", registry=on)
        self.review_answered = Gauge(
            "mailweir_review_answered", "Questions on the topic that somebody has answered.", registry=on
        )

    def _declare_trial(self) -> None:
        on = self.registry
        self.rollbacks = Counter(
            "mailweir_auto_rollbacks",
            "Champions that the disagreement of people called to demote: done, or failed because nothing sound was before.",
            ["outcome"],
            registry=on,
        )
        for outcome in ("done", "failed"):
            self.rollbacks.labels(outcome)
        self.disagreement = Gauge(
            "mailweir_champion_disagreement_ratio",
            "Share of people's verdicts in the window that are against a champion on trial; NaN where too few say anything.",
            registry=on,
        )
        self.disagreement.set(float("nan"))

    def _declare_stages(self) -> None:
        on = self.registry
        self.batch_mails = Histogram(
            "mailweir_batch_mails", "Records in a batch.", ["stage"], buckets=_MAILS, registry=on
        )
        self.mail_age = Histogram(
            "mailweir_mail_age_seconds",
            "Age of a record when a stage had finished it, from its time stamp on the stage's topic.",
            ["stage"],
            buckets=_SECONDS,
            registry=on,
        )
        self.batch_oldest = Histogram(
            "mailweir_batch_oldest_seconds",
            "Age of the oldest record of a batch, from its time stamp to the batch's start.",
            ["stage"],
            buckets=_SECONDS,
            registry=on,
        )
        self.tokens = Histogram(
            "mailweir_mail_tokens", "Tokens that the model saw of a mail.", ["stage"], buckets=_TOKENS, registry=on
        )
        self.seconds = Histogram(
            "mailweir_step_seconds",
            "Duration of a step of a stage: handle, publish, find and keep are per batch, parse and model per mail.",
            ["stage", "step"],
            buckets=_SECONDS,
            registry=on,
        )
        self.decisions = Counter(
            "mailweir_decisions",
            "Decisions, by model version, tier and review.",
            ["version", "tier", "needs_review"],
            registry=on,
        )
        self.head_decisions = Counter(
            "mailweir_head_decisions", "Labels decided, by head and model version.", ["head", "version"], registry=on
        )
        self.expected_right = Counter(
            "mailweir_expected_right",
            "Sum of the calibrated probabilities of labels decided: over their number it is the estimated accuracy.",
            ["head", "version"],
            registry=on,
        )
        self.rules = Counter(
            "mailweir_rules", "Mails of which a tenant's rule decided a head or more, by rule.", ["rule"], registry=on
        )
        self.labels = Counter("mailweir_labels", "Labels decided, by head.", ["head", "label"], registry=on)
        self.bundle = Gauge(
            "mailweir_bundle_info", "1 for the bundle that is served.", ["name", "version"], registry=on
        )
