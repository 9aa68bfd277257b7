"""`mailweir settings`: every setting, what it is and where it comes from."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from pydantic import SecretStr
from rich.table import Table
from rich.text import Text

from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.output import console, emit
from mailweir.services.settings import Settings, masked

__all__ = ["settings"]


def settings(
    *, as_json: Annotated[bool, typer.Option("--json", help="One object a line, for scripts.")] = False
) -> None:
    """List every setting with its effective value, its default and what it is for.

    A value that the environment sets is marked with a star; secrets are shown as stars, an unset one as nothing.

    [bold]MAILWEIR_BATCH_WAIT_MS=200 mailweir settings[/]

    Exit codes: 0 all can work; 2 a value cannot, or a MAILWEIR_ variable names no setting.
    """
    rows = _rows(client_settings())
    if as_json:
        for row in rows:
            emit(row)
    else:
        console().print(_table(rows))


def _rows(effective: Settings) -> list[dict[str, Any]]:
    values, defaults = masked(effective), masked(Settings.model_construct())
    return [
        {
            "name": name,
            "variable": f"MAILWEIR_{name.upper()}",
            "value": values[name],
            "default": defaults[name],
            "set": name in effective.model_fields_set,
            "secret": field.annotation is SecretStr,
            "help": field.description or "",
        }
        for name, field in Settings.model_fields.items()
    ]


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("variable", no_wrap=True)
    table.add_column("value", overflow="fold", max_width=32)
    table.add_column("default", overflow="fold", max_width=24, style="dim")
    table.add_column("what it is", style="dim")
    for row in rows:
        value = Text(_shown(row["value"]) + (" *" if row["set"] else ""), "bold" if row["set"] else "")
        table.add_row(row["variable"], value, _shown(row["default"]), row["help"])
    return table


def _shown(value: object) -> str:
    if value is None or value in ("", []):
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)
