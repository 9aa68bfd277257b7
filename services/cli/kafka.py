"""`mailweir kafka`: a real Apache Kafka on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mailweir.services.cli.environment import client_settings

__all__ = ["app"]

_USUAL_PORT = 9092  # where the other commands look without settings

app = typer.Typer(help="A real Apache Kafka on this machine, for development and tests.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `up` a command of its own: a group of one would swallow its name."""


@app.command()
def up(
    *,
    nodes: Annotated[int, typer.Option(min=1, max=9, help="Brokers.")] = 1,
    secure: Annotated[
        bool, typer.Option("--secure", help="TLS and a user per agent, each allowed only what it needs.")
    ] = False,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--dir", metavar="DIR", help="Keep the data there; else they are gone at the end.", show_default=False
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="Of the first broker; 0 takes free ones.")] = _USUAL_PORT,
) -> None:
    """Run a Kafka in the foreground until Ctrl-C.

    Prints one JSON line when it is ready: bootstrap, folder and process ids; with --secure also where the users' passwords
    and the certificate are.

    [bold]mailweir kafka up --dir ~/kafka[/], then in a second terminal [bold]mailweir topics apply[/]

    Exit codes: 0 ended by a signal; 1 a broker died; 2 it cannot start (no Java, no jars, port or folder in use).
    """
    from mailweir.services.broker import KafkaCluster, serve
    from mailweir.services.topics import acl_bindings

    settings = client_settings()
    cluster = KafkaCluster(
        nodes=nodes,
        secure=secure,
        acls=acl_bindings(settings.topic_prefix, settings.group_prefix) if secure else (),
        directory=directory,
        port=port or None,
        libs=settings.kafka_libs,
    )
    raise typer.Exit(serve(cluster, lambda message: typer.echo(f"mailweir: {message}", err=True)))
