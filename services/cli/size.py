"""`mailweir size`: what a cluster for so many mails a day consists of."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from mailweir.services.cli.output import emit
from mailweir.services.cli.sizing import FIGURES, Load, Plan, plan

__all__ = ["MailBytes", "MailsPerDay", "as_markdown", "size"]

_LOAD = Load(1)

MailsPerDay = Annotated[int, typer.Option(min=1, max=10**12, metavar="N", help="Mails on mail.raw in a day.")]
MailBytes = Annotated[int, typer.Option(min=1, max=10**9, help="Mean size of a raw mail, attachments included.")]


def size(
    *,
    mails_per_day: MailsPerDay,
    mail_bytes: MailBytes = _LOAD.mail_bytes,
    peak: Annotated[float, typer.Option(min=1, max=1_000, help="Busiest minutes over the day's mean.")] = _LOAD.peak,
    replication: Annotated[int, typer.Option(min=1, max=100, help="Copies of every partition.")] = _LOAD.replication,
    raw_days: Annotated[float, typer.Option(min=0.01, max=3_650, help="How long mail.raw is kept.")] = _LOAD.raw_days,
    figures: Annotated[bool, typer.Option("--figures", help="Also print every number of the formula.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One object, for scripts.")] = False,
) -> None:
    """Say how many workers, partitions, brokers, and how much disk, network and money a load takes.

    A formula over measured figures and named assumptions; --figures prints both. Tables are Markdown, as in deploy/SIZING.md.

    [bold]mailweir size --mails-per-day 100000000[/]

    Exit codes: 0 printed; 2 a number that cannot be.
    """
    made = plan(Load(mails_per_day, mail_bytes, peak, replication, raw_days))
    if as_json:
        emit(_as_object(made) | ({"figures": _figures()} if figures else {}))
        return
    typer.echo(as_markdown(made))
    if figures:
        typer.echo("\n" + _figure_table())


def _figures() -> dict[str, Any]:
    return {name: dataclasses.asdict(figure) for name, figure in FIGURES.items()}


def _as_object(made: Plan) -> dict[str, Any]:
    return dataclasses.asdict(made) | {"usd_per_million": made.usd_million}


def as_markdown(made: Plan) -> str:
    """Three tables: the whole, the workers, the topics."""
    load = made.load
    whole = [
        ("mails a second, mean and peak", f"{_amount(load.mean_per_s)} and {_amount(load.peak_per_s)}"),
        ("brokers", f"{made.brokers:,} (asked for by {made.brokers_by})"),
        ("written to disks at the peak, all copies", f"{_amount(made.written_mb_s)} MB/s"),
        ("read by our workers at the peak", f"{_amount(made.read_mb_s)} MB/s"),
        ("broker disk", f"{_amount(made.disk_tb)} TB"),
        ("cost", f"{made.usd_month:,.0f} USD a month, {_amount(made.usd_million)} USD a million mails"),
    ]
    workers = [(w.agent, f"{w.workers:,}", _amount(w.cores_busy), _amount(w.memory_gb)) for w in made.workers]
    topics = [
        (t.topic, f"{t.partitions:,}", _amount(t.mb_s_peak), f"{t.days:g}", _amount(t.disk_tb)) for t in made.topics
    ]
    return "\n\n".join(
        (
            _table((f"{load.mails_per_day:,} mails a day", ""), whole),
            _table(("agent", "workers", "cores busy at the peak", "memory, GB"), workers),
            _table(("topic", "partitions", "MB/s at the peak, one copy", "days", "disk, TB"), topics),
        )
    )


def _figure_table() -> str:
    rows = [(name, f"{one.value:g}", one.unit, one.meaning, one.source) for name, one in FIGURES.items()]
    return _table(("figure", "value", "unit", "what", "from"), rows)


def _amount(value: float) -> str:
    """Two digits that count, no more than there is reason for."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [titles, tuple("---" for _ in titles), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
