"""`mailweir models shadow`: a version scores a share of the mail beside the champion, and nobody hears it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailweir.schemas.errors import InputError
from mailweir.schemas.events import ModelRef
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.models_registry import By, Json, Model, Place, open_registry, who
from mailweir.services.cli.output import emit

if TYPE_CHECKING:
    from mailweir.models.registry import Registry, Shadow

__all__ = ["shadow"]


def shadow(
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="As `mailweir models list` names it.")
    ] = None,
    *,
    share: Annotated[
        float | None,
        typer.Option(
            metavar="X", help="Of the mails, above 0 up to 1: more tells sooner, and takes more of the idle time."
        ),
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Let no version score beside the champion.")] = False,
    by: By = None,
    model: Model = "email",
    registry: Place = None,
    as_json: Json = False,
) -> None:
    """Let a version score the same mails beside the champion; without VERSION tell which one does.

    Every worker on this registry follows within seconds. It decides a sample, the same mails in every worker, when it has nothing
    else to do; the decisions go to mail.classified.shadow, at most once each, and some are left out under load. Nothing that
    fails there holds mail up. Then: [bold]mailweir models diff champion shadow[/].

    [bold]mailweir models shadow 1.4f0c2d9a11 --share 0.1[/]

    Exit codes: 0 set, ended or told; 2 no such version, it is broken, not signed or the champion, or no registry.
    """
    opened = open_registry(client_settings(registry=registry))
    if off:
        _end(opened, model, version, share, as_json=as_json)
    elif version is None:
        if share is not None:
            raise InputError("--share of what? Name the version: mailweir models shadow VERSION --share X")
        _tell(opened.shadow(model), "no version scores beside the champion", as_json=as_json)
    else:
        _set(opened, ModelRef(name=model, version=version), share, who(by), as_json=as_json)


def _set(registry: Registry, model: ModelRef, share: float | None, by: str, *, as_json: bool) -> None:
    if share is None or not 0 < share <= 1:
        raise InputError("--share is above 0 up to 1, such as 0.1 for a tenth of the mails")
    _tell(registry.set_shadow(model, share=share, by=by), "", as_json=as_json)


def _end(registry: Registry, model: str, version: str | None, share: float | None, *, as_json: bool) -> None:
    if version is not None or share is not None:
        raise InputError("--off stands alone: mailweir models shadow --off")
    ended = registry.end_shadow(model)
    _tell(None, "ended" if ended else "no version scored beside the champion", as_json=as_json)


def _tell(found: Shadow | None, nothing: str, *, as_json: bool) -> None:
    if as_json:
        emit(found.model_dump_json().encode() if found else {"model": None})
    elif found:
        typer.echo(
            f"{found.model.name} {found.model.version} scores {found.share:.4g} of the mails beside the champion"
        )
    else:
        typer.echo(nothing)
