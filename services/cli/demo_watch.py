"""What the demo shows of its mails: decisions as they come, dead letters with their cause, figures of the workers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console

from mailweir.schemas.errors import DependencyError
from mailweir.schemas.events import DeadLetter, Decision
from mailweir.schemas.topics import CLASSIFIED, DEAD
from mailweir.services.cli.children import WorkerProcess, check_running
from mailweir.services.cli.figures import scrape
from mailweir.services.cli.opening import open_topic
from mailweir.services.cli.output import file_size, plain
from mailweir.services.cli.rows import decision_cells, decision_rows, first_sentence
from mailweir.services.cli.sample_mails import Sample
from mailweir.services.settings import Settings
from mailweir.services.stream import Record

__all__ = ["DeadSample", "show_dead", "show_decisions", "show_detail", "show_figures"]

_DECIDED_S = 60.0  # for all samples; a second or two where the machine has nothing else to do
_NAME_WIDTH = 27  # the longest name of a sample
_PULL_MS = 200


@dataclass(frozen=True, slots=True)
class DeadSample:
    """A mail that was rejected."""

    name: str
    place: str  # of its dead letter, for `mailweir dead show`
    letter: DeadLetter
    size: int


async def show_decisions(
    settings: Settings, to: Console, mails: Sequence[Sample], workers: Sequence[WorkerProcess]
) -> tuple[dict[str, Decision], list[DeadSample]]:
    """Print each decision when it comes, until every mail was decided or rejected; the decisions by name, and the rejects.

    Raises:
        DependencyError: some were neither in time, or a worker ended; it names the workers' logs.
    """
    rows = decision_rows(to, "mail", _NAME_WIDTH)
    ids, names = {mail.email_id(): mail.name for mail in mails}, {mail.value: mail.name for mail in mails}
    decisions: dict[str, Decision] = {}
    dead: list[DeadSample] = []
    try:
        async with (
            asyncio.timeout(_DECIDED_S),
            open_topic(settings, CLASSIFIED) as decided,
            open_topic(settings, DEAD) as rejected,
        ):
            while len(decisions) + len(dead) < len(mails):
                check_running(workers)
                for decision in [Decision.decode(record.value) for record in await decided.pull(_PULL_MS)]:
                    name = ids[decision.email_id]
                    cells = {"mail": name.rpartition("/")[2], **decision_cells(decision)}
                    rows.add(cells, below=first_sentence(decision))
                    decisions[name] = decision
                dead += [_dead(record, names) for record in await rejected.pull(0)]
    except TimeoutError as error:
        missing = sorted(set(names.values()) - decisions.keys() - {one.name for one in dead})
        logs = " and ".join(str(worker.log) for worker in workers)
        raise DependencyError(
            f"{len(missing)} mails were neither decided nor rejected in {_DECIDED_S:.0f} s "
            f"({', '.join(missing[:5])} …); see {logs}"
        ) from error
    return decisions, dead


def show_detail(to: Console, decision: Decision) -> None:
    """What a row of the table has no room for."""
    parts = (
        ("sums up", decision.summary or ""),
        ("asks", " / ".join(decision.action_items)),
        ("do next", ", ".join(f"{action.label} {action.probability:.0%}" for action in decision.next_actions)),
        ("found", ", ".join(f"{entity.type} {entity.text}" for entity in decision.entities)),
        ("took", ", ".join(f"{step} {spent:.1f} ms" for step, spent in decision.timings_ms.items())),
        (
            "ids",
            f"decision {decision.decision_id[:12]}…, mail {decision.email_id[:12]}…, model {decision.model.version}",
        ),
    )
    for name, text in parts:
        if text:
            to.print(f"  [dim]{name:<8}[/]", end="")
            to.print(plain(text), markup=False, soft_wrap=True)


def show_dead(to: Console, dead: Sequence[DeadSample]) -> None:
    """What was rejected and why."""
    for one in dead:
        source = one.letter.source
        to.print(f"[bold red]{one.letter.code}[/]  {one.name} ({file_size(one.size)}), rejected by {one.letter.stage}")
        to.print(f"  {plain(one.letter.message)}", markup=False, soft_wrap=True)
        at = f"{source.topic}[{source.partition}]@{source.offset}"
        to.print(f"  from {at}, dead letter {one.place}", markup=False, style="dim")


async def show_figures(to: Console, workers: Sequence[WorkerProcess]) -> None:
    """Where the metrics are, and a few of them."""
    for worker in workers:
        stage, seen = worker.stage, await scrape(worker.metrics)
        done = seen.total("mailweir_mails_total", stage=stage, outcome="published")
        rejected = seen.total("mailweir_mails_total", stage=stage, outcome="rejected")
        step = "parse" if stage == "ingest" else "model"
        mean_ms = seen.mean("mailweir_step_seconds", stage=stage, step=step) * 1_000
        size = seen.mean("mailweir_batch_mails", stage=stage)
        to.print(f"[cyan]{worker.metrics}[/]  {stage}")
        to.print(
            f"  {done:.0f} published, {rejected:.0f} rejected; {size:.0f} mails a batch; {step} {mean_ms:.1f} ms a mail",
            soft_wrap=True,
        )


def _dead(record: Record, names: Mapping[bytes, str]) -> DeadSample:
    place = f"{record.partition}:{record.offset}"
    return DeadSample(names[record.value], place, DeadLetter.from_headers(record.headers), len(record.value))
