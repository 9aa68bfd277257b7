"""Carry a run out, step by step. Every step's result is in the run's folder, so that the same call after a kill goes on there."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from threadpoolctl import threadpool_limits

from mailweir.models.training.again import Sources, corpus_rows, recipe_of
from mailweir.models.training.code import code_digest
from mailweir.models.training.gate import Limits
from mailweir.models.training.recipe import Recipe
from mailweir.models.training.start import read_start
from mailweir.schemas.errors import BundleError, ChampionChanged, DependencyError, InputError, MailweirError, SetupError
from mailweir.schemas.events import ModelRef, Part, RetrainFinished, RetrainRequested, ShardClosed, utc_now
from mailweir.schemas.manifest import Manifest
from mailweir.services.settings import Settings
from mailweir.services.telemetry import logger
from mailweir.services.trainer import candidate, judge
from mailweir.services.trainer.champion import House, open_house
from mailweir.services.trainer.folder import ADMISSION, END, PLAN, RunFolder, no_room
from mailweir.services.trainer.lesson import Taught, files_of, read_files, sources_of, teach
from mailweir.services.trainer.progress import Progress, Tell, silent

__all__ = ["carry_out"]

log = logger(__name__)

_BY = "trainer"


class Plan(Part):
    """What a run started from; it stays that for all tries."""

    run_id: str
    champion: ModelRef
    corpus_sha256: str
    code: str


@dataclass(frozen=True, slots=True)
class _Run:
    """One run and all that its steps need."""

    request: RetrainRequested
    shards: Sequence[ShardClosed]
    folder: RunFolder
    settings: Settings
    house: House
    sources: Sources
    parent: Manifest  # the champion that it starts from
    recipe: Recipe
    tell: Tell
    limits: Limits | None


def carry_out(
    settings: Settings,
    request: RetrainRequested,
    shards: Sequence[ShardClosed],
    folder: RunFolder,
    tell: Tell = silent,
    limits: Limits | None = None,
) -> RetrainFinished:
    """Carry the run out in its folder, without Kafka: the end that is to be told. A run that has ended gives the same end again.

    Raises:
        SetupError: it cannot begin as this machine is set up; nothing was decided.
        DependencyError: a store is away; call again.
        OSError, RegistryError: a disk is full (`held` tells it as a dependency that is away).
    """
    if (known := folder.read(END)) is not None:
        return RetrainFinished.decode(known)
    house, sources = open_house(settings), sources_of(settings)
    parent = _parent(request, folder, house, sources)
    run = _Run(request, shards, folder, settings, house, sources, parent, recipe_of(parent), tell, limits)
    try:
        end = _steps(run)
    except DependencyError:
        raise  # it will be there again, and the run goes on from here
    except MailweirError as error:
        if no_room(error):
            raise  # whoever holds the folder says so: it is waited for
        end = _failed(run, error)
    folder.write(END, end.encode())
    log.info("trainer_ended", run_id=request.run_id, outcome=end.outcome, reasons=end.reasons)
    return end


def _failed(run: _Run, error: MailweirError) -> RetrainFinished:
    """An end that another run comes to as well, unless it is the machine: that is mended, and a run soon asked for again."""
    setup = isinstance(error, SetupError | BundleError) and not isinstance(error, InputError)
    end = _end(run, "failed", candidate.made(run.folder.candidate), [f"{error.code}: {error.message}"])
    return end.model_copy(update={"setup_failed": setup})


def _parent(request: RetrainRequested, folder: RunFolder, house: House, sources: Sources) -> Manifest:
    """What the run started from, or now starts from: the bundle that it names, else the champion."""
    known = folder.read(PLAN)
    if known is not None:
        found = house.manifest(Plan.model_validate_json(known).champion)
    elif request.start is not None:
        found = house.manifest(request.start)
    else:
        found, _ = house.champion(request.champion.name)
        if found.model != request.champion:
            log.warning(
                "champion_changed", run_id=request.run_id, asked=request.champion.version, now=found.model.version
            )
    plan = _plan(request, found, sources)
    if known is not None:
        _same_corpus(Plan.model_validate_json(known), plan, folder)
    folder.write(PLAN, plan.model_dump_json().encode())
    return found


def _plan(request: RetrainRequested, parent: Manifest, sources: Sources) -> Plan:
    if parent.taxonomy != request.taxonomy:
        message = (
            f"the champion answers taxonomy {parent.taxonomy.name} {parent.taxonomy.version}, the run was asked for "
            f"{request.taxonomy.name} {request.taxonomy.version}: ask for a new run"
        )
        raise InputError(message, run_id=request.run_id)
    digest = hashlib.sha256()
    for row in corpus_rows(recipe_of(parent).name, sources.corpus):
        digest.update(row.model_dump_json().encode() + b"\n")
    return Plan(run_id=request.run_id, champion=parent.model, corpus_sha256=digest.hexdigest(), code=code_digest())


def _same_corpus(before: Plan, now: Plan, folder: RunFolder) -> None:
    if before.corpus_sha256 != now.corpus_sha256:
        message = f"the corpus is not the one that the run began with: put that one back, or remove {folder.path} to begin anew"
        raise InputError(message, path=str(folder.path))
    if before.code != now.code:
        log.warning("code_changed", run_id=now.run_id, began_with=before.code, now=now.code)


def _steps(run: _Run) -> RetrainFinished:
    name = run.parent.model.name
    made = candidate.made(run.folder.candidate)
    if made and run.house.promotion_by(run.request.run_id, name):
        return _promoted(run, made)
    taught = _teach(run)
    if not taught.lesson.rows:
        refused = sum(taught.report.causes.values())
        return _end(
            run, "refused", None, [f"nothing to learn from: admission refused all ({refused} labels), see {ADMISSION}"]
        )
    if made is None:
        _say_what_fades(run)
        made = _train(run, taught)
    return _decide(run, made, taught)


def _train(run: _Run, taught: Taught) -> Manifest:
    start = read_start(run.house.folder(run.parent.model))
    recipe, rows, data = candidate.recipe_from(run.parent, start), taught.lesson.rows, _data(run, taught)
    return candidate.train(run.folder.candidate, recipe, run.parent, rows, data, (run.sources, start), run.tell)


def _say_what_fades(run: _Run) -> None:
    """A champion that learned from public collections keeps what it has of them only where they are given again."""
    counts = run.parent.data.get("public") or {}
    if counts and run.sources.public is None:
        rows = sum(counts.values())
        line = f"the champion learned from {rows:,} rows of public collections, this run from none: MAILWEIR_TRAINER_PUBLIC names them"
        run.tell(Progress("training", line=line))


def _teach(run: _Run) -> Taught:
    files, learned = files_of(run.request, run.shards), run.parent.data.get("fitted_rows", ())
    shards = read_files(files, run.settings.ledger, run.tell)
    # more threads only wait for each other: with the gate's 11 s of processor time instead of 8 for the tiny bundle
    with threadpool_limits(1):
        taught = teach(shards, run.recipe, run.request.taxonomy, learned, run.sources, run.tell)
    run.folder.write(ADMISSION, taught.report.encode() + b"\n")
    for line in taught.report.table().splitlines():
        run.tell(Progress("admission", line=line))
    return taught


def _data(run: _Run, taught: Taught) -> dict[str, object]:
    """What the candidate's manifest keeps of the run."""
    known = taught.data(files_of(run.request, run.shards))
    return {"feedback": {"run_id": run.request.run_id, "parent": run.parent.model.model_dump(mode="json"), **known}}


def _decide(run: _Run, made: Manifest, taught: Taught) -> RetrainFinished:
    """Judge against who is champion now; what it takes the place of is exactly what it was judged against."""
    champion, expected = run.house.champion(made.model.name)
    if reason := _known(run, made, champion):
        return _end(run, "refused", made, [reason])
    found = judge.earlier(run.folder, made.model, champion.model)
    if found is None:
        sets = judge.sets_of((made, champion), run.recipe, taught.lesson.fresh, run.settings, run.sources)
        place = run.house.folder(champion.model)
        found = judge.judge(run.folder, place, sets, run.settings, run.tell, run.limits)
    if found.reasons:
        return _end(run, "refused", made, found.reasons)
    return _promote(run, made, expected)


def _known(run: _Run, made: Manifest, champion: Manifest) -> str | None:
    """Why a model that is champion already, or lies in the registry by another run, is no candidate."""
    there = made.model.version in run.house.registry.versions(made.model.name)
    if made.model == champion.model or (there and run.house.manifest(made.model) != made):
        return f"training gave version {made.model.version} again, which is there already: it is the same model"
    return None


def _promote(run: _Run, made: Manifest, expected: str | None) -> RetrainFinished:
    registry = run.house.registry
    run.tell(Progress("promotion", total=1))
    registry.add(run.folder.candidate, run.house.key)
    try:
        registry.promote(made.model, expected=expected, cause=run.request.run_id, by=_BY)
    except ChampionChanged as error:
        return _end(run, "refused", made, [f"{error.code}: {error.message}"])
    run.tell(Progress("promotion", done=1, total=1))
    return _promoted(run, made)


def _promoted(run: _Run, made: Manifest) -> RetrainFinished:
    return _end(run, "promoted", made, ())


def _end(run: _Run, outcome: str, made: Manifest | None, reasons: Sequence[str]) -> RetrainFinished:
    return RetrainFinished.model_validate(
        {
            "run_id": run.request.run_id,
            "outcome": outcome,
            "candidate": made.model if made else None,
            "reasons": tuple(reasons),
            "metrics": judge.figures(run.folder),
            "finished_at": utc_now(),
        }
    )
