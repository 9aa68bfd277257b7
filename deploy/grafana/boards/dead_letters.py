"""What could not be handled, why, and since when."""

from __future__ import annotations

from grafana.panels import Board, Panel, Query, Row, ratio

__all__ = ["BOARD"]

_STAGE = '{$S, stage=~"$stage"}'
_REJECTED = 'sum by (stage) (rate(mailweir_mails_total{$S, stage=~"$stage", outcome="rejected"}[$__rate_interval]))'
_DONE = f"sum by (stage) (rate(mailweir_mails_total{_STAGE}[$__rate_interval]))"

_NOW = Row(
    "How many",
    (
        Panel(
            "Dead letters of the last hour",
            "short",
            "Records that stages of the choice sent to the dead letters. `mailweir dead list` shows each with its cause.",
            (Query(f"round(sum(increase(mailweir_rejects_total{_STAGE}[1h])))"),),
            "number",
            width=6,
            red_from=100,
        ),
        Panel(
            "Share by stage",
            "percentunit",
            "Dead letters over all records that a stage finished. All at once near one: a schema, not the mail.",
            (Query(ratio(_REJECTED, _DONE), "{{stage}}"),),
            width=18,
            red_from=0.01,
        ),
    ),
)

_WHY = Row(
    "Why",
    (
        Panel(
            "By code",
            "ops",
            "Dead letters a second by error code, of the codes that there have been; the header of each says the same.",
            (
                Query(
                    # every code is counted from zero: those that no worker has seen would fill the legend
                    f"sum by (stage, code) (rate(mailweir_rejects_total{_STAGE}[$__rate_interval])) "
                    f"and sum by (stage, code) (mailweir_rejects_total{_STAGE}) > 0",
                    "{{stage}} {{code}}",
                ),
            ),
            width=12,
        ),
        Panel(
            "Codes of the last day",
            "short",
            "Where to begin: the code with the most records.",
            (Query(f"topk(20, round(sum by (stage, code) (increase(mailweir_rejects_total{_STAGE}[1d]))) > 0)"),),
            "list",
            width=12,
        ),
        Panel(
            "A worker behind it",
            "ops",
            "Dead letters a second by worker. One alone: that worker, its disk or its memory.",
            (
                Query(
                    f"sum by (instance, stage) (rate(mailweir_rejects_total{_STAGE}[$__rate_interval]))",
                    "{{stage}} {{instance}}",
                ),
            ),
            width=12,
        ),
        Panel(
            "Handed out again",
            "ops",
            "Records a second that a stage got once more, by cause: often what goes before a dead letter.",
            (
                Query(
                    f"sum by (stage, cause) (rate(mailweir_redelivered_total{_STAGE}[$__rate_interval]))",
                    "{{stage}} {{cause}}",
                ),
            ),
            width=12,
        ),
    ),
)

BOARD = Board(
    "dead-letters",
    "Dead letters",
    "What could not be handled, why, and since when.",
    (_NOW, _WHY),
    ("stage",),
    "now-24h",
)
