"""What a reader chooses above a dashboard."""

from __future__ import annotations

from collections.abc import Iterable

from grafana_foundation_sdk.builders.dashboard import DatasourceVariable, QueryVariable, TextBoxVariable
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from grafana.panels import Field

__all__ = ["SOURCE", "variables"]

SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
_ENVIRONED = '{environment=~"$environment"}'
Variable = Builder[VariableModel]
_CHOICES = {
    "version": ("Model version", f"label_values(mailweir_decisions_total{_ENVIRONED}, version)"),
    "head": ("Head", f"label_values(mailweir_labels_total{_ENVIRONED}, head)"),
    "mailbox": ("Mailbox", f"label_values(mailweir_mailbox_decisions_total{_ENVIRONED}, mailbox)"),
    "stage": ("Stage", f"label_values(mailweir_mails_total{_ENVIRONED}, stage)"),
}


def variables(fields: Iterable[Field]) -> list[Variable]:
    """Data source, environment and where the runbooks are; then those that the dashboard names."""
    # `environment` is no label of ours: whoever scrapes sets it, and where nobody does `.*` chooses what lacks it
    environment = _choice("environment", "Environment", "label_values(mailweir_trainer_running, environment)")
    found: list[Variable] = [DatasourceVariable("source").label("Data source").type("prometheus"), environment]
    for field in fields:
        if field == "core_hour":
            found.append(TextBoxVariable(field).label("USD for an hour of one core").default_value("0.04"))
        else:
            found.append(_choice(field, *_CHOICES[field]))
    return [*found, TextBoxVariable("runbooks").label("Runbooks at").default_value("/public/runbooks")]


def _choice(name: str, label: str, query: str) -> QueryVariable:
    every = VariableOption(selected=True, text=["All"], value=["$__all"])
    found = QueryVariable(name).label(label).query({"query": query, "refId": name}).datasource(SOURCE).current(every)
    found = found.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
    return found.multi(True).include_all(True).all_value(".*")  # noqa: FBT003 - the builder's own signature
