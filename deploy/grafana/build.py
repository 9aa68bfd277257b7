"""From our boards to Grafana's JSON, through the builders of its own SDK."""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard as grafana
from grafana_foundation_sdk.builders import heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders.common import ReduceDataOptions, ScaleDistributionConfig, VizLegendOptions
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.common import (
    FieldTextAlignment,
    LegendDisplayMode,
    LegendPlacement,
    ScaleDistribution,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.fields import SOURCE, variables
from grafana.panels import Board, Panel, Query
from grafana.runbooks import RUNBOOKS

__all__ = ["FOLDER", "encode"]

FOLDER = Path(__file__).parents[2] / "services/dashboard/boards"
_SWAPS = Query("sum(increase(mailweir_model_swaps_total{$S}[1m])) > 0")  # fmt: skip
AnyPanel = timeseries.Panel | stat.Panel | heatmap.Panel | table.Panel


def encode(board: Board) -> str:
    """The file of a dashboard: keys sorted, so that a change shows as what it is."""
    built = _dashboard(board).build()
    for number, panel in enumerate(built.panels or [], 1):  # stable addresses: `viewPanel=7` is the same tomorrow
        panel.id_val = number
    return json.dumps(built, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _dashboard(board: Board) -> grafana.Dashboard:
    found = (
        grafana.Dashboard(f"mailweir: {board.title}")
        .uid(f"mailweir-{board.name}")
        .description(board.description)
        .tags(["mailweir"])
        .readonly()
        .time(board.since, "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .variables(variables(board.fields))
        .link(_others())
        .annotation(_swaps())
    )
    for row in board.rows:
        found.with_row(grafana.Row(row.title))
        for panel in row.panels:
            found.with_panel(_panel(panel, RUNBOOKS.get(f"{board.name}: {panel.title}")))
    return found


def _others() -> grafana.DashboardLink:
    link = grafana.DashboardLink("mailweir").type(model.DashboardLinkType.DASHBOARDS).tags(["mailweir"])
    return link.as_dropdown(True).include_vars(True).keep_time(True)  # noqa: FBT003 - the builder's own signature


def _swaps() -> grafana.AnnotationQuery:
    query = grafana.AnnotationQuery().name("A new model took over").datasource(SOURCE).expr(_SWAPS.expression)
    return query.enable(True).hide(False).icon_color("purple")  # noqa: FBT003 - as above


def _panel(panel: Panel, runbook: str | None) -> AnyPanel:
    found = _shape(panel).title(panel.title).description(panel.description).unit(panel.unit).datasource(SOURCE)
    found = found.span(panel.width).height(panel.height)
    for query in panel.queries:
        found.with_target(_target(panel, query))
    if runbook:
        page = grafana.DashboardLink("Runbook").url(f"${{runbooks}}/{runbook}.md")
        found.links([page.type(model.DashboardLinkType.LINK).target_blank(True)])  # noqa: FBT003 - as above
    if panel.red_from is not None:
        found.thresholds(_thresholds(panel.red_from))
    return found


def _shape(panel: Panel) -> AnyPanel:
    if panel.kind == "number":
        return stat.Panel().reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
    if panel.kind == "heat":
        return heatmap.Panel().scale_distribution(ScaleDistributionConfig().type(ScaleDistribution.LINEAR))
    if panel.kind == "list":
        only = model.DataTransformerConfig(id_val="organize", options={"excludeByName": {"Time": True}})
        return table.Panel().align(FieldTextAlignment.AUTO).inspect(False).with_transformation(only)  # noqa: FBT003 - as above
    legend = VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)  # noqa: FBT003 - as above
    return timeseries.Panel().legend(legend).fill_opacity(10)


def _thresholds(red_from: float) -> grafana.ThresholdsConfig:
    steps = [model.Threshold(None, "green"), model.Threshold(red_from, "red")]
    return grafana.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def _target(panel: Panel, query: Query) -> prometheus.Dataquery:
    found = prometheus.Dataquery().expr(query.expression).ref_id(chr(ord("A") + panel.queries.index(query)))
    if panel.kind == "list":
        return found.instant().format(PromQueryFormat.TABLE)
    if panel.kind == "heat":
        return found.range().format(PromQueryFormat.HEATMAP).legend_format("{{le}}")
    return found.range().legend_format(query.legend)
