"""Which run is meant: by its id, or the one that is open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from mailweir.schemas.errors import InputError
from mailweir.schemas.events import RetrainFinished, RetrainRequested, ShardClosed
from mailweir.services.runs.duration import duration
from mailweir.services.runs.history import History, Run

__all__ = ["Found", "find"]

_ASK = "ask for one: mailweir retrain now --why TEXT"


@dataclass(frozen=True, slots=True)
class Found:
    """A run and where the shards are that it names; `end` if it has ended already."""

    request: RetrainRequested
    shards: tuple[ShardClosed, ...]
    end: RetrainFinished | None = None


def find(history: History, wanted: str | None, now: datetime) -> Found:
    """The run whose id starts with `wanted`; for None the one that is open.

    Raises:
        InputError: there is no such run, several are meant, it is void, or it was given up and others came after it.
    """
    run = _open(history, now) if wanted is None else _named(history, wanted)
    if run.end is None and run is not history.last and not run.open_at(now, history.timeout):
        message = (
            f"run {_short(run.request)} was given up after {duration(history.timeout)} and others came after it; {_ASK}"
        )
        raise InputError(message, run_id=run.request.run_id)
    return Found(run.request, tuple(_shards(history, run.request)), run.end)


def _open(history: History, now: datetime) -> Run:
    found = history.open_run(now)
    if found is None:
        raise InputError(f"no run is open; {_ASK}")
    return found


def _named(history: History, wanted: str) -> Run:
    found = [run for name, run in history.runs.items() if name.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(_short(run.request) for run in found)
        raise InputError(f"{wanted} may be {names}: give more of the id", run_id=wanted)
    for request in history.void:
        if request.run_id.startswith(wanted):
            message = f"run {_short(request)} is void: it was asked for while another run went on, and nobody carries it out; {_ASK}"
            raise InputError(message, run_id=request.run_id)
    raise InputError(f"no run {wanted} was asked for: mailweir retrain status shows those that were", run_id=wanted)


def _shards(history: History, request: RetrainRequested) -> Iterable[ShardClosed]:
    """As they were announced last; one that is gone from the topic is missed when the run reads it."""
    return (history.shards[named.shard_id] for named in request.shards if named.shard_id in history.shards)


def _short(request: RetrainRequested) -> str:
    return request.run_id[:12]
