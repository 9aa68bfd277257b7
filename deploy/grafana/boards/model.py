"""Which models answer, how sure they are, and whether people agree."""

from __future__ import annotations

from grafana.panels import Board, Panel, Query, Row, ratio

__all__ = ["BOARD"]

_HEAD = '{$S, head=~"$head", version=~"$version"}'
_VERSION = '{$S, version=~"$version"}'


def _growth(metric: str, by: str, chosen: str = _HEAD, over: str = "1d") -> str:
    """Verdicts are few: a day is what a share of them needs."""
    return f"sum by ({by}) (increase({metric}{chosen}[{over}]))"


def _right(metric: str, by: str = "head, version", more: str = "") -> str:
    chosen = f'{{$S, head=~"$head", version=~"$version"{more}}}'
    right = f'{{$S, head=~"$head", version=~"$version"{more}, verdict="right"}}'
    every = _growth(metric, by, chosen)
    return ratio(f"({_growth(metric, by, right)} or 0 * {every})", every)  # none right is 0, not nothing


_EXPECTED = ratio(
    _growth("mailweir_confidence_ratio_sum", "head, version"),
    _growth("mailweir_confidence_ratio_count", "head, version"),
)
_REALISED = _right("mailweir_verdict_weight_total")

_VERSIONS = Row(
    "Versions",
    (
        Panel(
            "Bundles served",
            "short",
            "How many workers serve which bundle. Two rows for longer than a swap: a worker does not follow the registry.",
            (Query(f"count by (name, version) (mailweir_bundle_info{_VERSION} == 1)"),),
            "list",
        ),
        Panel(
            "Decisions by version",
            "ops",
            "Decisions a second of each model version.",
            (Query(f"sum by (version) (rate(mailweir_decisions_total{_VERSION}[$__rate_interval]))", "{{version}}"),),
        ),
        Panel(
            "Swaps",
            "short",
            "Bundles of the last hour that took over, and tries that failed, by error code; then the old one serves on.",
            (
                Query("round(sum(increase(mailweir_model_swaps_total{$S}[1h])))", "took over"),
                Query(
                    "round(sum by (code) (increase(mailweir_model_swap_failures_total{$S}[1h])))", "failed: {{code}}"
                ),
            ),
        ),
    ),
)

_QUALITY = Row(
    "Quality and calibration",
    (
        Panel(
            "Accuracy, estimated",
            "percentunit",
            "Mean calibrated probability of the labels decided in a day: the accuracy if the calibration holds.",
            (Query(_EXPECTED, "{{head}} {{version}}"),),
            width=12,
        ),
        Panel(
            "Accuracy, realised",
            "percentunit",
            "Share that people call right in the review queue's lot, each by the inverse of its chance, over a day.",
            (Query(_REALISED, "{{head}} {{version}}"),),
            width=12,
        ),
        Panel(
            "Calibration is off by",
            "percentunit",
            "Realised accuracy less the estimated one. Below zero: the model is surer than it should be.",
            (Query(f"({_REALISED}) - ({_EXPECTED})", "{{head}} {{version}}"),),
            width=12,
        ),
        Panel(
            "Agreement by source, not drawn by lot",
            "percentunit",
            "Share of right among words that nobody drew: people of themselves (given), rules, behaviour (implicit). Expect it lower.",
            (
                Query(
                    _right("mailweir_verdicts_total", "head, sample", ', sample!="lot"'),
                    "{{head}} {{sample}}",
                ),
            ),
            width=12,
        ),
        Panel(
            "Confidence",
            "short",
            "How many labels a second were decided with which calibrated probability. Two bands: mail it knows, and mail it does not.",
            (Query(f"sum by (le) (rate(mailweir_confidence_ratio_bucket{_HEAD}[$__rate_interval]))"),),
            "heat",
        ),
        Panel(
            "Abstained",
            "percentunit",
            "Share of decisions in which a head is not sure enough of its label, by version.",
            (
                Query(
                    ratio(
                        f"sum by (head, version) (rate(mailweir_abstentions_total{_HEAD}[$__rate_interval]))",
                        f"sum by (head, version) (rate(mailweir_confidence_ratio_count{_HEAD}[$__rate_interval]))",
                    ),
                    "{{head}} {{version}}",
                ),
            ),
        ),
        Panel(
            "Steps of the refinement",
            "short",
            "Mean number of steps of the recursive model until a mail halted. No value: the bundle refines nothing.",
            (
                Query(
                    ratio(
                        f"sum by (version) (rate(mailweir_refine_steps_sum{_VERSION}[$__rate_interval]))",
                        f"sum by (version) (rate(mailweir_refine_steps_count{_VERSION}[$__rate_interval]))",
                    ),
                    "{{version}}",
                ),
            ),
        ),
    ),
)

_DRIFT = Row(
    "Drift",
    (
        Panel(
            "Labels",
            "percentunit",
            "Share of each label of a head within the hour.",
            (
                Query(
                    'sum by (head, label) (increase(mailweir_labels_total{$S, head=~"$head", version=~"$version"}[1h])) / on (head) '
                    'group_left () (sum by (head) (increase(mailweir_labels_total{$S, head=~"$head", version=~"$version"}[1h])) > 0)',
                    "{{head}} {{label}}",
                ),
            ),
            width=12,
        ),
        Panel(
            "Labels against a week ago",
            "percentunit",
            "Half the sum of differences of a day's shares of labels to the same day a week ago: 0 the same, 1 nothing alike.",
            (
                Query(
                    "0.5 * sum by (head) (abs("
                    'sum by (head, label) (increase(mailweir_labels_total{$S, head=~"$head", version=~"$version"}[1d])) / on (head) '
                    'group_left () sum by (head) (increase(mailweir_labels_total{$S, head=~"$head", version=~"$version"}[1d]))'
                    ' - sum by (head, label) (increase(mailweir_labels_total{$S, head=~"$head", version=~"$version"}[1d] offset 1w)) / on (head)'
                    ' group_left () sum by (head) (increase(mailweir_labels_total{$S, head=~"$head", version=~"$version"}[1d] offset 1w))))',
                    "{{head}}",
                ),
            ),
            width=12,
        ),
        Panel(
            "Left to people",
            "percentunit",
            "Share of decisions that the model is not sure of, by version.",
            (
                Query(
                    ratio(
                        'sum by (version) (rate(mailweir_decisions_total{$S, version=~"$version", needs_review="true"}'
                        "[$__rate_interval]))",
                        f"sum by (version) (rate(mailweir_decisions_total{_VERSION}[$__rate_interval]))",
                    ),
                    "{{version}}",
                ),
            ),
        ),
        Panel(
            "Tokens of a mail",
            "short",
            "Tokens that the model saw, 50 and 95 in a hundred. Longer mail costs time and may lose its end.",
            (
                Query(
                    "histogram_quantile(0.5, sum by (le) (rate(mailweir_mail_tokens_bucket{$S}[$__rate_interval])))",
                    "p50",
                ),
                Query(
                    "histogram_quantile(0.95, sum by (le) (rate(mailweir_mail_tokens_bucket{$S}[$__rate_interval])))",
                    "p95",
                ),
            ),
        ),
        Panel(
            "Rules of tenants",
            "ops",
            "Mails a second of which a rule decided a head, by rule. One that eats everything is written too widely.",
            (Query("sum by (rule) (rate(mailweir_rules_total{$S}[$__rate_interval]))", "{{rule}}"),),
        ),
    ),
)

_SHADOW = Row(
    "Shadow",
    (
        Panel(
            "Shadows at work",
            "short",
            "How many workers score with which bundle beside the champion.",
            (Query("count by (name, version) (mailweir_shadow_info{$S} == 1)"),),
            "list",
        ),
        Panel(
            "Decisions of the shadow",
            "ops",
            "Decisions a second that the shadow published, and mails it was too late for.",
            (
                Query("sum by (version) (rate(mailweir_shadow_decisions_total{$S}[$__rate_interval]))", "{{version}}"),
                Query("sum(rate(mailweir_shadow_dropped_total{$S}[$__rate_interval]))", "too late"),
            ),
        ),
        Panel(
            "Failures of the shadow",
            "short",
            "Mails and loads of the last hour that failed, by error code; the champion is not touched by them.",
            (
                Query("round(sum by (code) (increase(mailweir_shadow_failures_total{$S}[1h])))", "mail: {{code}}"),
                Query("round(sum by (code) (increase(mailweir_shadow_load_failures_total{$S}[1h])))", "load: {{code}}"),
            ),
        ),
    ),
)

BOARD = Board(
    "model",
    "Model",
    "Which models answer, how sure they are, and whether people agree.",
    (_VERSIONS, _QUALITY, _DRIFT, _SHADOW),
    ("version", "head"),
    "now-24h",
)
