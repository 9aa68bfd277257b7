"""Is it healthy, how late are we, what are we deciding."""

from __future__ import annotations

from grafana.panels import Board, Panel, Query, Row, ratio

__all__ = ["BOARD"]

_REJECTED = 'sum(rate(mailweir_mails_total{$S, outcome="rejected"}[$__rate_interval]))'
_DONE = "sum(rate(mailweir_mails_total{$S}[$__rate_interval]))"
_DECIDED = "sum(rate(mailweir_decisions_total{$S}[$__rate_interval]))"

_ENDS = '{$S, stage=~"ingest|classify"'


def _late(over: str) -> Query:
    """How many times faster than 30 days allow: 1 % of mails may take longer than 5 s."""
    intime = f'sum by (stage) (rate(mailweir_mail_age_seconds_bucket{_ENDS}, le="5.0"}}[{over}]))'
    every = f"sum by (stage) (rate(mailweir_mail_age_seconds_count{_ENDS}}}[{over}]))"
    return Query(f"(1 - {ratio(intime, every)}) / 0.01", f"{{{{stage}}}} {over}")


def _lost(over: str) -> Query:
    """How many times faster than 30 days allow: one mail of ten thousand may be gone unread or failed by a defect."""
    gone = f"sum by (stage) (rate(mailweir_missing_offsets_total{{$S}}[{over}]))"
    failed = f'sum by (stage) (rate(mailweir_rejects_total{{$S, code="unexpected"}}[{over}]))'
    done = f"sum by (stage) (rate(mailweir_mails_total{{$S}}[{over}]))"
    return Query(f"({gone} + {failed}) / ({gone} + {done} > 0) / 0.0001", f"{{{{stage}}}} {over}")


_HEALTH = Row(
    "Is it healthy?",
    (
        Panel(
            "Workers seen",
            "short",
            "Processes that Prometheus reaches. Fewer than were started: one is down or its port is not scraped.",
            (Query("count(mailweir_trainer_running{$S})"),),
            "number",
            width=6,
            height=5,
        ),
        Panel(
            "How late are we",
            "s",
            "Age of the oldest mail that ingest or classify has not finished, over all partitions. No value: nobody knows.",
            (Query('max(mailweir_lag_seconds{$S, stage=~"ingest|classify"})'),),
            "number",
            width=6,
            height=5,
            red_from=60,
        ),
        Panel(
            "Rejected",
            "percentunit",
            "Share of records that went to the dead letters. Seldom more than a few in a thousand.",
            (Query(ratio(_REJECTED, _DONE)),),
            "number",
            width=6,
            height=5,
            red_from=0.01,
        ),
        Panel(
            "Broker silent for",
            "s",
            "Longest time since a broker last answered any worker. Grows without end while Kafka is away.",
            (Query("max(mailweir_broker_contact_seconds{$S})"),),
            "number",
            width=6,
            height=5,
            red_from=30,
        ),
    ),
)

_LATE = Row(
    "How late are we?",
    (
        Panel(
            "Lag by stage",
            "s",
            "Age of the oldest record that a stage has not finished. One stage that climbs alone is the one that is too slow.",
            (Query("max by (stage) (mailweir_lag_seconds{$S})", "{{stage}}"),),
            width=12,
            red_from=60,
        ),
        Panel(
            "Records finished",
            "ops",
            "Records a second that each stage published, kept or rejected. Flat at zero beside a growing lag: it hangs.",
            (Query("sum by (stage) (rate(mailweir_mails_total{$S}[$__rate_interval]))", "{{stage}}"),),
            width=12,
        ),
    ),
)

_OBJECTIVES = Row(
    "Do we keep our word?",
    (
        Panel(
            "Latency budget, fast",
            "none",
            "Times the pace at which 30 days of budget are used up: 99 % within 5 s. It pages from 14.4 for an hour, 6 for six.",
            (_late("1h"), _late("6h")),
            width=6,
            red_from=14.4,
        ),
        Panel(
            "Latency budget, slow",
            "none",
            "The same over longer: a ticket from 3 for a day, 1 for three.",
            (_late("1d"), _late("3d")),
            width=6,
            red_from=3,
        ),
        Panel(
            "Loss budget, fast",
            "none",
            "Times the pace that 30 days allow: 99.99 % neither gone unread nor failed by a defect of ours.",
            (_lost("1h"), _lost("6h")),
            width=6,
            red_from=14.4,
        ),
        Panel(
            "Loss budget, slow",
            "none",
            "The same over longer: a ticket from 3 for a day, 1 for three.",
            (_lost("1d"), _lost("3d")),
            width=6,
            red_from=3,
        ),
    ),
)

_DECISIONS = Row(
    "What are we deciding?",
    (
        Panel(
            "Decisions",
            "ops",
            "Decisions a second by the tier that answered: a tenant's rules, the linear model, the encoder, the refinement.",
            (Query("sum by (tier) (rate(mailweir_decisions_total{$S}[$__rate_interval]))", "{{tier}}"),),
        ),
        Panel(
            "Left to people",
            "percentunit",
            "Share of decisions that the model is not sure of. A jump: mail of another kind, or a model that is off.",
            (
                Query(
                    ratio(
                        'sum(rate(mailweir_decisions_total{$S, needs_review="true"}[$__rate_interval]))',
                        _DECIDED,
                    ),
                    "needs review",
                ),
            ),
        ),
        Panel(
            "Categories",
            "percentunit",
            "Share of each label of the head `category`. A share that moves overnight is news in the mail or a fault.",
            (
                Query(
                    'sum by (label) (rate(mailweir_labels_total{$S, head="category"}[$__rate_interval]))'
                    ' / ignoring (label) group_left () (sum(rate(mailweir_labels_total{$S, head="category"}'
                    "[$__rate_interval])) > 0)",
                    "{{label}}",
                ),
            ),
        ),
    ),
)

_BOXES = '{$S, mailbox=~"$mailbox"}'
_MAILBOXES = Row(
    "For whom?",
    (
        Panel(
            "Decisions by mailbox",
            "ops",
            "Decisions a second for the mailboxes that MAILWEIR_METRICS_MAILBOXES names; all others are `other`.",
            (
                Query(
                    f"sum by (mailbox) (rate(mailweir_mailbox_decisions_total{_BOXES}[$__rate_interval]))",
                    "{{mailbox}}",
                ),
            ),
            width=12,
        ),
        Panel(
            "Left to people by mailbox",
            "percentunit",
            "Share of a mailbox's decisions that the model is not sure of. One alone: its mail is unlike what was learned from.",
            (
                Query(
                    ratio(
                        'sum by (mailbox) (rate(mailweir_mailbox_decisions_total{$S, mailbox=~"$mailbox", needs_review="true"}'
                        "[$__rate_interval]))",
                        f"sum by (mailbox) (rate(mailweir_mailbox_decisions_total{_BOXES}[$__rate_interval]))",
                    ),
                    "{{mailbox}}",
                ),
            ),
            width=12,
        ),
    ),
)

BOARD = Board(
    "overview",
    "Overview",
    "Is it healthy, how late are we, what are we deciding.",
    (_HEALTH, _LATE, _OBJECTIVES, _DECISIONS, _MAILBOXES),
    ("mailbox",),
)
