"""`mailweir models reclassify`: mails that a demoted version decided are decided again."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mailweir.schemas.errors import MailweirError
from mailweir.schemas.events import ModelRef
from mailweir.schemas.topics import CLASSIFIED, PARSED
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.models_registry import Json, Model, Place, open_registry
from mailweir.services.cli.output import Advance, complain, console, emit, progress

if TYPE_CHECKING:
    from mailweir.models.registry import Registry
    from mailweir.services.classify.again.demotion import Demotion
    from mailweir.services.classify.again.reclassify import Report
    from mailweir.services.settings import Settings

__all__ = ["reclassify", "repair_after"]


def reclassify(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A version that is no longer champion.")],
    *,
    model: Model = "email",
    registry: Place = None,
    as_json: Json = False,
) -> None:
    """Decide again, with the champion, every mail whose latest decision is this version's; each names the one that it supersedes.

    Mails that another version decided later are left alone, mails past retention are counted as expired. Killed in the middle and
    started again it goes on: no mail is left out and none is repaired twice. It waits until workers have followed the demotion.
    On a cluster with permissions it is the user operator that may do so.

    [bold]mailweir models reclassify 1.4f0c2d9a11[/]

    Exit codes: 0 nothing is left of it but what expired; 1 a mail could not be decided again, a worker still decides with that
    version, or another champion came meanwhile (run it again); 2 the version is the champion or unknown, no registry, no broker.
    """
    settings = client_settings(registry=registry)
    if not _repair(settings, open_registry(settings), ModelRef(name=model, version=version), as_json=as_json):
        raise typer.Exit(1)


def repair_after(settings: Settings, registry: Registry, model: ModelRef, *, as_json: bool) -> bool:
    """The same behind a rollback: what keeps it from being done is told with what does it later, and is False."""
    try:
        return _repair(settings, registry, model, as_json=as_json)
    except MailweirError as error:
        complain(
            f"{model.version} is demoted, but what it decided is not repaired: {error.message} "
            f"Then: mailweir models reclassify {model.version}"
        )
        return False


def _repair(settings: Settings, registry: Registry, model: ModelRef, *, as_json: bool) -> bool:
    """True if all is repaired that can be."""
    from mailweir.services.classify.again.demotion import demotion_of
    from mailweir.services.classify.again.reclassify import Report

    demotion, report = demotion_of(registry, model), Report()
    with progress("deciding again", None, sized=False) as advance:
        try:
            asyncio.run(_run(settings, registry, demotion, report, advance))
        except MailweirError:
            if report.found:
                _tell(demotion, report, as_json=as_json)
            raise
    _tell(demotion, report, as_json=as_json)
    return not (report.failed or report.still_deciding)


async def _run(settings: Settings, registry: Registry, demotion: Demotion, report: Report, advance: Advance) -> None:
    from mailweir.services.classify.again.reclassify import Repair
    from mailweir.services.stream import KafkaBus
    from mailweir.services.topics import require

    await require(settings, (PARSED, CLASSIFIED))
    await Repair(KafkaBus(settings), settings, registry, demotion).run(report, lambda mails: advance(mails, 0))


def _tell(demotion: Demotion, report: Report, *, as_json: bool) -> None:
    """What was done, also by a repair that broke off."""
    old, new = demotion.model.version, demotion.champion.model.version
    if as_json:
        emit({"version": old, "champion": new} | asdict(report))
        return
    console().print(
        f"{report.found} mails were last decided by {old}: {report.redecided} decided again by {new}, {report.changed} of them with "
        f"another label; {report.expired} expired, {report.failed} failed",
        markup=False,
        soft_wrap=True,
    )
    if report.still_deciding:
        complain(f"a worker still decides with {old}: see mailweir_model_swap_failures_total, then run this again")
