"""Which version is to be repaired, since when it decided, and what decides in its place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from mailweir.models.registry import Promotion, Registry
from mailweir.schemas.errors import RegistryError
from mailweir.schemas.events import ModelRef

__all__ = ["Demotion", "demotion_of"]

_CLOCKS = timedelta(hours=1)  # what the clocks of a registry's user, a worker and a broker may be apart


@dataclass(frozen=True, slots=True)
class Demotion:
    """A version that was champion, or served before there was one."""

    model: ModelRef
    champion: Promotion  # in force now
    since: datetime | None  # it decided nothing before; None: nobody knows
    ended: datetime | None  # when it was last replaced; None: it never was champion


def demotion_of(registry: Registry, model: ModelRef) -> Demotion:
    """What the history of the registry says of a version.

    Raises:
        RegistryError: it is the champion, nobody knows it, or there is no champion to decide in its place.
    """
    history, champion = registry.history(model.name), registry.champion(model.name)
    if champion is None:
        message = f"{model.name} has no champion in {registry.root} that could decide again: mailweir models promote"
        raise RegistryError(message, name=model.name)
    if champion.model == model:
        message = f"{model.version} is the champion of {model.name}: demote it first, mailweir models rollback"
        raise RegistryError(message, version=model.version)
    begun = [made.at for made in history if made.model == model]
    ended = [made.at for made in history if made.previous == model]
    if not begun and not ended:
        registry.entry(
            model.name, model.version
        )  # a bundle that was served without ever being champion is known at least
    return Demotion(model, champion, begun[0] - _CLOCKS if begun else None, ended[-1] if ended else None)
