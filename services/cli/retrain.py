"""`mailweir retrain`: ask for a training run, and see what was asked for and what came of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailweir.schemas.errors import MailweirError
from mailweir.schemas.events import utc_now
from mailweir.schemas.topics import RETRAIN, SHARDS
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.output import complain, console, emit
from mailweir.services.cli.rows import local_time

if TYPE_CHECKING:
    from mailweir.schemas.events import ModelRef, RetrainRequested
    from mailweir.services.retrain.policy import Verdict
    from mailweir.services.retrain.request import Champion
    from mailweir.services.runs.history import History, Run
    from mailweir.services.settings import Settings

__all__ = ["app", "ask", "read_history"]

_RUNS_SHOWN = 10

app = typer.Typer(help="Training runs: ask for one, see what was asked for and how it ended.", no_args_is_help=True)


@app.command()
def now(
    *,
    why: Annotated[str, typer.Option(metavar="TEXT", help="The reason, kept with the run.")],
    by: Annotated[str, typer.Option(metavar="ID", help="Opaque id of who asks, kept with the run.")] = "operator",
    as_json: Annotated[bool, typer.Option("--json", help="The request as JSON, as it is on the topic.")] = False,
) -> None:
    """Ask for a training run now, whatever the policy says.

    The run learns from every shard of the champion's label space. It needs at least one, and no other run that goes on; how long
    the last one is ago does not matter. On a cluster with permissions it is the user trainer that may ask.

    [bold]mailweir retrain now --why "new product line"[/]

    Exit codes: 0 asked for; 1 there is no shard, or a run goes on; 2 no broker, no topic, or no bundle.
    """
    settings = client_settings()
    verdict, request = asyncio.run(ask(settings, why, by))
    if request is None:
        complain(f"no run: {verdict.reason}. {_remedy(settings, verdict)}")
        raise typer.Exit(1)
    if as_json:
        emit(request.encode())
    else:
        console().print(
            f"run {request.run_id} asked for: {len(request.shards)} shards, against {request.champion.version}"
        )


@app.command()
def status(*, as_json: Annotated[bool, typer.Option("--json", help="JSON for scripts.")] = False) -> None:
    """Show runs, shards, and what the policy says now.

    Exit codes: 0 shown; 2 no broker, no topic, or no bundle.
    """
    from mailweir.services.retrain.request import configured_champion

    settings = client_settings()
    champion = configured_champion(settings)
    history = asyncio.run(read_history(settings))
    found = _status(settings, history, champion)
    if as_json:
        emit(found)
    else:
        _print(found)


def _remedy(settings: Settings, verdict: Verdict) -> str:
    if "no_shards" in verdict.codes:
        shards = settings.topic_name(SHARDS.name)
        return f"Shards come onto {shards} when people's feedback is kept: `mailweir worker feedback`."
    return "`mailweir retrain status` shows it."


async def read_history(settings: Settings) -> History:
    """Shards and runs as the topics tell them now."""
    from mailweir.services.retrain.rules import Limits
    from mailweir.services.runs.reader import HistoryReader
    from mailweir.services.stream import KafkaBus
    from mailweir.services.topics import require

    await require(settings, (SHARDS, RETRAIN))
    bus = KafkaBus(settings)
    shards, runs = (bus.journal(settings.topic_name(topic.name)) for topic in (SHARDS, RETRAIN))
    reader = HistoryReader(shards, runs, Limits.of(settings).timeout)
    try:
        return await reader.catch_up()
    finally:
        await reader.stop()


async def ask(
    settings: Settings, why: str, by: str, start: ModelRef | None = None
) -> tuple[Verdict, RetrainRequested | None]:
    """Ask for a run, unless another goes on; `start` is the bundle that it continues, if that is not the champion."""
    from mailweir.services.retrain.policy import judge_request
    from mailweir.services.retrain.request import configured_champion, record_of, request_run
    from mailweir.services.stream import KafkaBus

    champion, at = configured_champion(settings), utc_now()
    history = await read_history(settings)
    shards, running = history.shards_of(champion.taxonomy), history.open_run(at)
    verdict = judge_request(len(shards), running.request.run_id if running else None, why)
    if not verdict.run:
        return verdict, None
    after = history.last.request.run_id if history.last else ""
    request = request_run(champion, shards, after, why, by, at, start)
    sink = KafkaBus(settings).sink()
    await sink.start()
    try:
        await sink.send([record_of(request, settings.topic_prefix)])
    finally:
        await sink.stop()
    return verdict, request


def _status(settings: Settings, history: History, champion: Champion) -> dict[str, Any]:
    running = history.open_run(utc_now())
    learned, shards = history.learned, history.shards_of(champion.taxonomy)
    return {
        "champion": f"{champion.model.name} {champion.model.version}",
        "shards": len(shards),
        "new_shards": sum((shard.shard_id, shard.sha256) not in learned for shard in shards),
        "open_run": running.request.run_id if running else None,
        "policy": _policy(settings, history, champion),
        "runs": [_run(run) for run in list(history.runs.values())[-_RUNS_SHOWN:]],
        "void_requests": len(history.void),
    }


def _policy(settings: Settings, history: History, champion: Champion) -> dict[str, Any]:
    """What the policy would say now; it reads the shards' files, which this machine may not reach."""
    from mailweir.services.retrain.evidence import Counter, gather
    from mailweir.services.retrain.policy import judge
    from mailweir.services.retrain.rules import Limits
    from mailweir.services.retrain.shards import counter_of

    try:
        evidence, _ = gather(history, Counter(counter_of(settings.ledger)), champion, utc_now())
    except (MailweirError, ImportError) as error:
        return {"run": None, "reasons": [], "why": f"the shards cannot be read from here: {error}", "new_labels": None}
    verdict = judge(evidence, Limits.of(settings))
    return {"run": verdict.run, "reasons": verdict.codes, "why": verdict.reason, "new_labels": evidence.fresh.human}


def _run(run: Run) -> dict[str, Any]:
    asked, end = run.request, run.end
    return {
        "run_id": asked.run_id,
        "requested_at": local_time(asked.requested_at),
        "by": asked.requested_by,
        "why": asked.cause,
        "shards": len(asked.shards),
        "champion": asked.champion.version,
        "outcome": end.outcome if end else None,
        "reasons": list(end.reasons) if end else [],
    }


def _print(found: dict[str, Any]) -> None:
    to, policy = console(), found["policy"]
    to.print(f"champion  {found['champion']}", markup=False)
    to.print(f"shards    {found['shards']}, {found['new_shards']} of them new")
    to.print(
        f"policy    {'asks for a run' if policy['run'] else 'no run'}: {policy['why']}", markup=False, soft_wrap=True
    )
    for run in found["runs"]:
        ended = run["outcome"] or ("goes on" if run["run_id"] == found["open_run"] else "given up")
        line = f"run       {run['run_id'][:12]}  {run['requested_at']}  {ended}  {run['shards']} shards  {run['by']}: {run['why']}"
        to.print(line, markup=False, soft_wrap=True)
        for reason in run["reasons"]:
            to.print(f"          {reason}", markup=False, soft_wrap=True)
    if found["void_requests"]:
        to.print(f"void      {found['void_requests']} requests came while another run went on")
