"""Every metric of a worker, declared once. Names and units follow the Prometheus conventions: base units, `_total`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
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
from prometheus_client.metrics import MetricWrapperBase

from mailweir.schemas.events import ReviewWhy
from mailweir.services.telemetry.labels import Labels

__all__ = ["Metrics"]

# Classic buckets, each with a bound at its target (5 s): prometheus_client 0.26 has no native histograms to observe into.
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_AGES = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0, 259200.0)
_DELAYS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LONG_SECONDS = (10.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 57600.0, 86400.0)
_MAILS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
_STEPS = (1, 2, 3, 4, 6, 8, 12, 16)
_CONFIDENCES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


class Metrics:
    """The metrics of one process, on a registry of its own so that two workers in one test do not share counts."""

    def __init__(self, mailboxes: Iterable[str] = ()) -> None:
        """`mailboxes` are counted by name, all others as one."""
        self.registry = CollectorRegistry()
        self.label = Labels(mailboxes, self._forget_version)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._declare_process()
        self._declare_stream()
        self._declare_stages()
        self._declare_decisions()
        self._declare_following()
        self._declare_feedback()
        self._declare_retrain()
        self._declare_trainer()
        self._declare_review()

    def declared(self) -> Iterator[MetricWrapperBase]:
        """All of ours, in the order in which they are declared."""
        return (metric for metric in vars(self).values() if isinstance(metric, MetricWrapperBase))

    def _forget_version(self, version: str) -> None:
        for metric in self.declared():
            if "version" in metric._labelnames and metric not in (self.bundle, self.shadow):  # noqa: SLF001 - it has no other way to ask
                metric.remove_by_labels({"version": version})

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, labels, registry=self.registry)

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(name, about, labels, registry=self.registry)

    def _unknown(self, name: str, about: str) -> Gauge:
        """A gauge of which 0 would say something: NaN until somebody knows."""
        gauge = self._gauge(name, about)
        gauge.set(math.nan)
        return gauge

    def _histogram(self, name: str, about: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, about, labels, buckets=buckets, registry=self.registry)

    def _declare_process(self) -> None:
        self.loop_delay = self._histogram(
            "mailweir_event_loop_delay_seconds", "Lateness of a tenth of a second's sleep: how long others held the event loop.", _DELAYS
        )  # fmt: skip
        self.onnxruntime = self._histogram(
            "mailweir_onnxruntime_seconds",
            "Time inside ONNX Runtime for a mail, all its windows and steps; role is champion or shadow.",
            _SECONDS,
            "role",
        )
        self.certificate = self._gauge(
            "mailweir_certificate_expiry_timestamp_seconds",
            "When the certificate that ends first of a file ends, as the worker read it at its start; file is ca or cert.",
            "file",
        )

    def _declare_stream(self) -> None:
        c, g = self._counter, self._gauge
        self.mails = c("mailweir_mails", "Records finished by a stage: published, rejected, kept.", "stage", "outcome")
        self.rejects = c("mailweir_rejects", "Records sent to the dead letters, by error code.", "stage", "code")
        self.redelivered = c("mailweir_redelivered", "Records handed to a stage again, by cause.", "stage", "cause")
        self.retries = c("mailweir_dependency_retries", "Tries repeated because something was away.", "stage", "step")
        self.commits = c("mailweir_commits", "Offset commits, by outcome.", "stage", "outcome")
        self.rebalances = c("mailweir_rebalances", "Assignments of partitions received.", "stage")
        self.missing = c(
            "mailweir_missing_offsets",
            "Offsets that the broker does not have: expired unread, compacted or transaction marks.",
            "stage",
        )
        self.spans = c("mailweir_spans", "Spans: sent, failed at the collector, dropped as too many waited.", "outcome")
        self.contact = g("mailweir_broker_contact_seconds", "Seconds since a broker last answered.", "stage")
        self.partitions = g("mailweir_assigned_partitions", "Partitions assigned now.", "stage")
        place = ("stage", "topic", "partition")
        self.lag_records = g("mailweir_lag_records", "Records behind the end of the partition.", *place)
        self.lag_seconds = g(
            "mailweir_lag_seconds",
            "Age of the oldest record not yet finished, at most; 0 if none, NaN where nobody knows yet.",
            *place,
        )

    def _declare_stages(self) -> None:
        h = self._histogram
        self.batch_mails = h("mailweir_batch_mails", "Records in a batch.", _MAILS, "stage")
        self.mail_age = h(
            "mailweir_mail_age_seconds",
            "Age of a record when a stage had finished it, from its time stamp on the stage's topic.",
            _SECONDS,
            "stage",
        )
        self.event_age = h(
            "mailweir_event_age_seconds",
            "Age of the event when a stage had finished it: since the mail came to mail.raw, since the word was given.",
            _AGES,
            "stage",
        )
        self.batch_oldest = h(
            "mailweir_batch_oldest_seconds",
            "Age of the oldest record of a batch, from its time stamp to the batch's start.",
            _SECONDS,
            "stage",
        )
        self.tokens = h("mailweir_mail_tokens", "Tokens that the model saw of a mail.", _TOKENS, "stage")
        self.seconds = h(
            "mailweir_step_seconds",
            "Duration of a step of a stage: handle, publish, find and keep are per batch, the others per mail.",
            _SECONDS,
            "stage",
            "step",
        )

    def _declare_decisions(self) -> None:
        c, h = self._counter, self._histogram
        self.decisions = c(
            "mailweir_decisions", "Decisions, by model version, tier and review.", "version", "tier", "needs_review"
        )
        self.labels = c(
            "mailweir_labels", "Labels decided, by head, model version and tier.", "head", "label", "version", "tier"
        )
        self.confidence = h(
            "mailweir_confidence_ratio",
            "Calibrated probabilities of labels decided: their mean is the estimated accuracy.",
            _CONFIDENCES,
            "head",
            "version",
            "tier",
        )
        self.abstentions = c(
            "mailweir_abstentions", "Heads that are not sure enough of their label.", "head", "version", "tier"
        )
        self.refine_steps = h(
            "mailweir_refine_steps", "Steps of the recursive model until a mail halted.", _STEPS, "version"
        )
        self.mailbox_decisions = c(
            "mailweir_mailbox_decisions",
            "Decisions by mailbox: those that MAILWEIR_METRICS_MAILBOXES names, and all others as `other`.",
            "mailbox",
            "needs_review",
        )
        self.rules = c("mailweir_rules", "Mails of which a tenant's rule decided a head or more, by rule.", "rule")
        self.bundle = self._gauge("mailweir_bundle_info", "1 for the bundle that is served.", "name", "version")

    def _declare_following(self) -> None:
        c = self._counter
        self.swaps = c("mailweir_model_swaps", "Bundles that took over while mail went on.")
        self.swap_failures = c(
            "mailweir_model_swap_failures",
            "Tries to follow the registry that failed, the old bundle serves on; by error code.",
            "code",
        )
        self.shadow = self._gauge(
            "mailweir_shadow_info", "1 for the bundle that scores beside the champion.", "name", "version"
        )
        self.shadow_decisions = c(
            "mailweir_shadow_decisions", "Decisions of the shadow that were published.", "version"
        )
        self.shadow_dropped = c("mailweir_shadow_dropped", "Mails of the sample that the shadow was too late for.")
        self.shadow_failures = c(
            "mailweir_shadow_failures",
            "Mails of the sample that the shadow could not decide or publish, by error code.",
            "code",
        )
        self.shadow_load_failures = c(
            "mailweir_shadow_load_failures",
            "Tries to follow the registry's shadow that failed, the champion serves on; by error code.",
            "code",
        )
        for code in ("bundle", "registry", "settings", "unexpected"):  # a counter that begins at 1 shows no increase
            self.swap_failures.labels(code)
            self.shadow_load_failures.labels(code)

    def _declare_feedback(self) -> None:
        c = self._counter
        self.feedback = c("mailweir_feedback", "Words about decisions that were written into the ledger.", "origin")
        self.verdicts = c(
            "mailweir_verdicts",
            "Verdicts on heads of decisions, by source: people of the review queue's lot or of themselves, rules, behaviour.",
            "head",
            "version",
            "sample",
            "verdict",
        )
        self.verdict_weight = c(
            "mailweir_verdict_weight",
            "The lot's verdicts, each by the inverse of its chance: right over all is the realised accuracy.",
            "head",
            "version",
            "verdict",
        )
        self.shards = c("mailweir_shards", "Shards of feedback closed, by cause.", "cause")
        self.shard_fill = self._gauge(
            "mailweir_shard_fill_ratio",
            "Rows or bytes that are in no shard yet, whichever is nearer to the limit at which a shard closes.",
            "topic",
            "partition",
        )
        self.ledger_free = self._unknown(
            "mailweir_ledger_free_bytes", "Free on the ledger's disk; NaN where it is an object store."
        )
        self.ledger_size = self._unknown(
            "mailweir_ledger_size_bytes", "Size of the ledger's disk; NaN where it is an object store."
        )

    def _declare_retrain(self) -> None:
        c, g = self._counter, self._gauge
        self.retrain_requests = c(
            "mailweir_retrain_requests", "Training runs that the trigger asked for, by reason.", "reason"
        )
        self.retrain_refusals = c(
            "mailweir_retrain_refusals", "Times the trigger asked for no run, by reason.", "reason"
        )
        self.retrain_open = g("mailweir_retrain_open", "1 while a training run goes on.")
        self.retrain_new_labels = g("mailweir_retrain_new_labels", "Words of people that no run has learned from.")
        self.retrain_unreadable = g(
            "mailweir_retrain_unreadable_shards",
            "Announced shards whose file is gone, no shard, or elsewhere.",
        )
        self.gate_verdicts = c(
            "mailweir_gate_verdicts", "Candidates that the gate judged: passed or refused.", "verdict"
        )
        for verdict in ("passed", "refused"):
            self.gate_verdicts.labels(verdict)
        self.rollbacks = c(
            "mailweir_auto_rollbacks",
            "Champions that the disagreement of people called to demote: done, or failed because nothing sound was before.",
            "outcome",
        )
        for outcome in ("done", "failed"):
            self.rollbacks.labels(outcome)
        self.disagreement = self._unknown(
            "mailweir_champion_disagreement_ratio",
            "Share of people's verdicts in the window that are against a champion on trial; NaN where too few say anything.",
        )

    def _declare_trainer(self) -> None:
        g = self._gauge
        self.trainer_runs = self._counter(
            "mailweir_trainer_runs",
            "Runs that this worker carried out, by outcome; left: stopped with the worker, and still open.",
            "outcome",
        )
        self.trainer_seconds = self._histogram(
            "mailweir_trainer_try_seconds", "Duration of a try of a run.", _LONG_SECONDS
        )
        self.trainer_restarts = self._counter("mailweir_trainer_restarts", "Runs started again after a crash.")
        self.trainer_running = g("mailweir_trainer_running", "1 while the trainer's process runs.")
        self.trainer_memory = g(
            "mailweir_trainer_memory_bytes", "Memory that the trainer's processes hold; 0 where none runs."
        )
        self.trainer_phase = g("mailweir_trainer_phase", "1 for the phase that the training run is in.", "phase")
        self.trainer_done = g(
            "mailweir_trainer_step_done_ratio", "Share of the present step of the phase that is done."
        )
        self.trainer_loss = g("mailweir_trainer_loss", "Loss of the last batch of fine-tuning.")

    def _declare_review(self) -> None:
        g = self._gauge
        self.review_asked = self._counter("mailweir_review_asked", "Decisions that people are asked about.", "why")
        for why in get_args(ReviewWhy):
            self.review_asked.labels(why)
        self.review_budget_left = g("mailweir_review_budget_left", "Questions that may still be asked this UTC day.")
        self.review_open = g("mailweir_review_open", "Questions that nobody has answered.")
        self.review_answered = g("mailweir_review_answered", "Questions on the topic that somebody has answered.")
