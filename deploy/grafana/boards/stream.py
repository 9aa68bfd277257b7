"""Each stage and partition: where mail waits, and what a stage does with its time."""

from __future__ import annotations

from grafana.panels import Board, Panel, Query, Row

__all__ = ["BOARD"]

_STAGE = '{$S, stage=~"$stage"}'


def _rate(metric: str, *by: str, stage: str = _STAGE) -> str:
    return f"sum by ({', '.join(by)}) (rate({metric}{stage}[$__rate_interval]))"


def _quantile(share: float, metric: str, *by: str) -> str:
    return f"histogram_quantile({share}, {_rate(metric, 'le', *by)})"


_LAG = Row(
    "Where mail waits",
    (
        Panel(
            "Lag in seconds",
            "s",
            "Age of the oldest record of a partition that is not finished. One partition alone: a hot key or a stuck mail.",
            (
                Query(
                    f"max by (topic, partition, stage) (mailweir_lag_seconds{_STAGE})",
                    "{{stage}} {{topic}} {{partition}}",
                ),
            ),
            width=12,
            red_from=60,
        ),
        Panel(
            "Lag in records",
            "short",
            "Records behind the end of a partition. Even over all partitions: too few workers for what arrives.",
            (
                Query(
                    f"max by (topic, partition, stage) (mailweir_lag_records{_STAGE})",
                    "{{stage}} {{topic}} {{partition}}",
                ),
            ),
            width=12,
        ),
        Panel(
            "Partitions by worker",
            "short",
            "What each worker reads. A worker with none is one too many; uneven shares follow a worker that comes and goes.",
            (Query(f"sum by (stage, instance) (mailweir_assigned_partitions{_STAGE})", "{{stage}} {{instance}}"),),
        ),
        Panel(
            "Assignments of partitions",
            "ops",
            "Times a second that workers were given partitions. More than at a rollout: a worker crashes, or is too slow.",
            (Query(_rate("mailweir_rebalances_total", "stage"), "{{stage}}"),),
        ),
        Panel(
            "Broker silent for",
            "s",
            "Seconds since a broker last answered, by worker. One worker alone: its network, not Kafka.",
            (Query(f"max by (stage, instance) (mailweir_broker_contact_seconds{_STAGE})", "{{stage}} {{instance}}"),),
            red_from=30,
        ),
    ),
)

_WORK = Row(
    "What a stage does",
    (
        Panel(
            "Records finished",
            "ops",
            "Records a second by outcome: published, kept, or rejected into the dead letters.",
            (Query(_rate("mailweir_mails_total", "stage", "outcome"), "{{stage}} {{outcome}}"),),
        ),
        Panel(
            "Age at the start of a batch",
            "s",
            "How old the oldest record of a batch was, 50 and 99 in a hundred: what a mail waits before anybody looks.",
            (
                Query(_quantile(0.5, "mailweir_batch_oldest_seconds_bucket", "stage"), "{{stage}} p50"),
                Query(_quantile(0.99, "mailweir_batch_oldest_seconds_bucket", "stage"), "{{stage}} p99"),
            ),
        ),
        Panel(
            "Records in a batch",
            "short",
            "Mean size of a batch. At its limit all the time: the stage is saturated.",
            (
                Query(
                    f"{_rate('mailweir_batch_mails_sum', 'stage')} / "
                    f"({_rate('mailweir_batch_mails_count', 'stage')} > 0)",
                    "{{stage}}",
                ),
            ),
        ),
        Panel(
            "Steps, 99 in a hundred",
            "s",
            "How long a step takes: handle, publish, find and keep for a batch, the others for a mail.",
            (Query(_quantile(0.99, "mailweir_step_seconds_bucket", "stage", "step"), "{{stage}} {{step}}"),),
            width=12,
        ),
        Panel(
            "Age of the event, 99 in a hundred",
            "s",
            "From the moment the mail came, or the word was given, until a stage had finished it: all stages before are in it.",
            (Query(_quantile(0.99, "mailweir_event_age_seconds_bucket", "stage"), "{{stage}}"),),
            width=12,
        ),
        Panel(
            "Age of the record, 99 in a hundred",
            "s",
            "From its time stamp on the stage's own topic until the stage had finished it: this stage alone.",
            (Query(_quantile(0.99, "mailweir_mail_age_seconds_bucket", "stage"), "{{stage}}"),),
            width=12,
            red_from=5,
        ),
        Panel(
            "Ages of batches",
            "s",
            "How many batches began how late. A second band above the usual one is a part of the mail that waits.",
            (Query(_rate("mailweir_batch_oldest_seconds_bucket", "le")),),
            "heat",
            width=12,
        ),
    ),
)

_AGAIN = Row(
    "What was done again, and what is missing",
    (
        Panel(
            "Tries repeated",
            "ops",
            "Tries a second that failed because something was away, by step.",
            (Query(_rate("mailweir_dependency_retries_total", "stage", "step"), "{{stage}} {{step}}"),),
            width=8,
        ),
        Panel(
            "Records handed out again",
            "ops",
            "Records a second that a stage got once more, by cause: raised, not committed, already in the ledger.",
            (Query(_rate("mailweir_redelivered_total", "stage", "cause"), "{{stage}} {{cause}}"),),
            width=8,
        ),
        Panel(
            "Commits refused",
            "ops",
            "Offsets a second that the broker did not take: partitions went elsewhere while a batch ran.",
            (
                Query(
                    _rate("mailweir_commits_total", "stage", stage='{$S, stage=~"$stage", outcome="refused"}'),
                    "{{stage}}",
                ),
            ),
            width=8,
        ),
        Panel(
            "Offsets that are missing",
            "short",
            "Offsets of the last hour that the broker does not have. On a topic without compaction: mail expired unread.",
            (Query(f"sum by (stage) (increase(mailweir_missing_offsets_total{_STAGE}[1h]))", "{{stage}}"),),
            width=12,
        ),
        Panel(
            "Spans by outcome",
            "ops",
            "Spans a second that the collector took, failed to take, or that were dropped as too many waited: traces with holes, never "
            "mail. No data where no collector is set.",
            (Query(_rate("mailweir_spans_total", "outcome", stage="{$S}"), "{{outcome}}"),),
            width=12,
        ),
    ),
)

BOARD = Board(
    "stream",
    "Stream",
    "Each stage and partition: where mail waits, and what a stage does with its time.",
    (_LAG, _WORK, _AGAIN),
    ("stage",),
    "now-1h",
)
