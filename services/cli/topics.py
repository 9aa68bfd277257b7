"""`mailweir topics`: the topics table and the cluster."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Annotated

import typer
from rich.table import Table

from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.output import complain, console, emit
from mailweir.services.cli.topics_access import acl, quota

__all__ = ["app"]

app = typer.Typer(help="Topics: create what is missing, compare a cluster with the table.", no_args_is_help=True)

app.command()(acl)
app.command("quotas")(quota)

Json = Annotated[bool, typer.Option("--json", help="One object a line, for scripts.")]
Partitions = Annotated[
    int | None,
    typer.Option(min=1, help="Of every topic but those of one, instead of the table's numbers.", show_default=False),
]


@app.command()
def apply(
    partitions: Partitions = None,
    replication: Annotated[
        int | None, typer.Option(min=1, help="Copies; else as many as brokers, at most three.", show_default=False)
    ] = None,
) -> None:
    """Create every topic that is missing; what exists stays as it is.

    [bold]mailweir topics apply --partitions 24[/]

    Exit codes: 0 all topics are there; 2 no broker, or it refuses.
    """
    from mailweir.services.topics import apply as create_missing

    created = asyncio.run(create_missing(client_settings(), partitions, replication))
    for name in created:
        typer.echo(f"created {name}")
    if not created:
        typer.echo("nothing to do: all topics are there")


@app.command()
def check(*, partitions: Partitions = None, as_json: Json = False) -> None:
    """Compare the cluster with the table.

    Exit codes: 0 no difference; 1 differences, each on a line; 2 no broker.
    """
    from mailweir.services.topics import check as compare

    differences = asyncio.run(compare(client_settings(), partitions))
    for difference in differences:
        if as_json:
            emit(dataclasses.asdict(difference))
        else:
            typer.echo(str(difference))
    if differences:
        complain(f"{len(differences)} differences; `mailweir topics apply` creates missing topics")
        raise typer.Exit(1)
    if not as_json:
        typer.echo("all topics are as they should be")


@app.command("list")
def list_all(*, as_json: Json = False) -> None:
    """List the topics: what is on them, who writes and reads them, how long they keep it.

    Exit codes: 0 listed; 2 no broker.
    """
    from mailweir.services.topics import list_topics

    rows = asyncio.run(list_topics(client_settings()))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("topic", "there", "parts", "kept", "record", "key", "events", "written by", "read by"):
        whole = title in {"topic", "there", "parts", "kept", "record"}  # a name that is cut is none
        table.add_column(title, justify="right" if title in {"parts", "record"} else "left", no_wrap=whole)
    for row in rows:
        if as_json:
            emit(dataclasses.asdict(row))
        there, parties = "yes" if row.exists else "[red]no[/]", (", ".join(row.writers), ", ".join(row.readers))
        size, events = row.size_limit, ", ".join(row.events)
        table.add_row(row.name, there, str(row.partitions), row.retention, size, row.key, events, *parties)
    if not as_json:
        console().print(table)
