"""`mailweir dashboard`: Grafana's dashboards without Grafana."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailweir.schemas.errors import InputError
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.output import complain

if TYPE_CHECKING:
    from mailweir.services.dashboard import Page

__all__ = ["RUNBOOKS", "dashboard"]

RUNBOOKS = Path(__file__).resolve().parents[2] / "deploy" / "runbooks"
"""Of a checkout; an installed package has none."""


def dashboard(
    *,
    prometheus: Annotated[
        str, typer.Option(metavar="URL", help="The Prometheus that scrapes the workers.")
    ] = "http://127.0.0.1:9090",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Of the page; 0 takes a free one.")] = 8090,
    scrape_seconds: Annotated[
        int,
        typer.Option(
            min=1, max=3_600, help="How often Prometheus asks the workers: rates are over four of these, as in Grafana."
        ),
    ] = 15,
    runbooks: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Pages that panels link to.", show_default="a checkout's deploy/runbooks"),
    ] = RUNBOOKS,
) -> None:
    r"""Serve the dashboards as a page on this machine, for people without Grafana.

    The six dashboards that Grafana shows, from the same files: http://127.0.0.1:8090/overview, /stream, /model, /loop, /dead-letters and
    /capacity, each by environment, stage, head and model version, over a quarter of an hour to a week, refreshed by itself. The page asks Prometheus nothing but
    its panels' queries and loads nothing from elsewhere. Needs [bold]pip install 'mailweir\[dashboard]'[/].

    [bold]mailweir dashboard --prometheus http://127.0.0.1:9090[/]

    Exit codes: 0 ended by Ctrl-C or SIGTERM; 2 no address, a port that is taken, no folder of runbooks, or the package to draw with is missing.
    """
    from mailweir.services.dashboard import Page, Prometheus, address, find_library, read_boards

    client_settings()
    if (
        runbooks != RUNBOOKS and not runbooks.is_dir()
    ):  # a package that is installed has none, and says so where one is asked for
        raise InputError(
            f"--runbooks {runbooks} is no folder: name the deploy/runbooks of a checkout, or leave the option out"
        )
    page = Page(Prometheus(address(prometheus)), read_boards(), find_library(), scrape_seconds, runbooks)
    asyncio.run(_serve(page, port))


async def _serve(page: Page, port: int) -> None:
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    await page.start(port)
    try:
        typer.echo(f"{page.url} (until Ctrl-C)")
        if trouble := await page.trouble():
            complain(f"{trouble}; the page says so until it does")
        await over.wait()
    finally:
        await page.stop()
