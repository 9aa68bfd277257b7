"""`mailweir topics acl | quotas`: who may do what on a cluster, and how much of it."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Annotated

import typer

from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.output import emit
from mailweir.services.cli.size import MailBytes, MailsPerDay
from mailweir.services.cli.sizing import Load, quotas

__all__ = ["acl", "quota"]

_LOAD = Load(1)


def acl(
    *,
    apply: Annotated[bool, typer.Option("--apply", help="Create them, as the administrator of the settings.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One permission a line, for scripts.")] = False,
) -> None:
    """Print the permissions of every party of the topics table, as lines for Kafka's kafka-acls.sh.

    One user per agent, and sender, watcher, reviewer, client and operator for those outside. Put --bootstrap-server and
    --command-config behind each line, or let --apply do it, which changes nothing that is there and takes nothing away.

    [bold]mailweir topics acl[/]

    Exit codes: 0 printed or created; 2 no broker, or it refuses.
    """
    from mailweir.services.topics import acl_bindings, acl_commands, grant

    settings = client_settings()
    bindings = acl_bindings(settings.topic_prefix, settings.group_prefix)
    if apply:
        asyncio.run(grant(settings, bindings))
        typer.echo(f"{len(bindings)} permissions of {len({one.principal for one in bindings})} users are there")
    elif as_json:
        for binding in bindings:
            emit(dataclasses.asdict(binding))
    else:
        typer.echo("\n".join(acl_commands(bindings)))


def quota(
    *,
    mails_per_day: MailsPerDay,
    mail_bytes: MailBytes = _LOAD.mail_bytes,
    as_json: Annotated[bool, typer.Option("--json", help="One user a line, for scripts.")] = False,
) -> None:
    """Print a quota for every user, as lines for Kafka's kafka-configs.sh: bytes a second and share of a broker's threads.

    Each is four times the user's share of the peak on one broker (KIP-13, KIP-124), so that an outage is caught up with; a
    user that takes more is slowed down by the broker, and nobody else.

    [bold]mailweir topics quotas --mails-per-day 1000000[/]

    Exit codes: 0 printed; 2 a number that cannot be.
    """
    for one in quotas(Load(mails_per_day, mail_bytes)):
        if as_json:
            emit(dataclasses.asdict(one))
        else:
            typer.echo(
                f"kafka-configs.sh --alter --entity-type users --entity-name {one.user} --add-config {one.config()}"
            )
