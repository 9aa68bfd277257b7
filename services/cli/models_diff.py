"""`mailweir models diff`: where two bundles differ on mails."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailweir.schemas.errors import RecordError
from mailweir.schemas.events import Decision, Email, ModelRef, utc_now
from mailweir.schemas.events.decision import PROBABILITY_TOLERANCE
from mailweir.services.cli.environment import client_settings
from mailweir.services.cli.models_registry import CHAMPION, SHADOW, Json, Model, Place, bundle_folder, named_version
from mailweir.services.cli.models_versus import compare_on_topics
from mailweir.services.cli.output import Column, Rows, complain, console, emit, plain, progress
from mailweir.services.cli.paths import check_paths, total_bytes
from mailweir.services.cli.reading import FoundMail, Skipped, read_mails

if TYPE_CHECKING:
    from mailweir.models.runtime import Bundle
    from mailweir.services.settings import Settings

__all__ = ["Change", "changes", "diff"]

_BATCH = 32  # mails parsed at once
_ACTIONS = "next_actions"


@dataclass(frozen=True, slots=True)
class Change:
    """What two bundles say of one head of one mail, where it is not the same."""

    head: str
    before: str  # label; of next_actions all labels, sorted
    after: str
    before_probability: float  # of its label; of next_actions of the surest one, 0 without any
    after_probability: float

    @property
    def flipped(self) -> bool:
        """Another label, not only another probability."""
        return self.before != self.after


def changes(before: Decision, after: Decision) -> list[Change]:
    """Heads that differ in a label, or in a probability by more than its last digit; heads that only one has are left out."""
    found = [
        Change(name, head.label, other.label, head.probability, other.probability)
        for name, head in before.heads.items()
        if (other := after.heads.get(name))
    ]
    if before.next_actions or after.next_actions:
        found.append(Change(_ACTIONS, *_actions(before, after)))
    return [
        one
        for one in found
        if one.flipped or abs(one.before_probability - one.after_probability) > PROBABILITY_TOLERANCE
    ]


def _actions(before: Decision, after: Decision) -> tuple[str, str, float, float]:
    sides = [
        (", ".join(sorted(a.label for a in side)), max((a.probability for a in side), default=0.0))
        for side in (before.next_actions, after.next_actions)
    ]
    return sides[0][0], sides[1][0], sides[0][1], sides[1][1]


@dataclass
class _Head:
    """One head over all mails."""

    flipped: int = 0  # mails with another label
    moved: int = 0  # mails with the same label and another probability
    largest: float = 0.0  # change of a probability under the same label

    def add(self, change: Change) -> None:
        self.flipped += change.flipped
        self.moved += not change.flipped
        if not change.flipped:
            self.largest = max(self.largest, abs(change.before_probability - change.after_probability))


@dataclass
class _Found:
    """Over all mails."""

    mails: int = 0
    differ: int = 0
    rejected: int = 0
    heads: dict[str, _Head] = field(default_factory=dict)

    def add(self, decision: Decision, found: Sequence[Change]) -> None:
        self.mails += 1
        self.differ += bool(found)
        for name in [*decision.heads, *([_ACTIONS] if decision.next_actions else [])]:
            self.heads.setdefault(name, _Head())
        for change in found:
            self.heads.setdefault(change.head, _Head()).add(change)


def diff(  # noqa: PLR0913 - typer: the parameters are the options
    before: Annotated[
        str, typer.Argument(metavar="A", help="A version, `champion`, `shadow`, or a folder (with a slash).")
    ] = CHAMPION,
    after: Annotated[str, typer.Argument(metavar="B", help="The same.")] = SHADOW,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DATA…]", help="Mails: see `mailweir send --help`; without, the topics.", show_default=False
        ),
    ] = None,
    *,
    limit: Annotated[int, typer.Option(min=0, help="Mails, or pairs of labels, that the table shows.")] = 20,
    days: Annotated[float, typer.Option(min=0, help="Without DATA: so far back on the topics.")] = 7.0,
    model: Model = "email",
    registry: Place = None,
    as_json: Json = False,
) -> None:
    """Show where two bundles differ: on mails, or, without DATA, on the topics where one scored beside the other.

    On mails both decide here: labels and probabilities. With --json each mail that differs has its line with all its changes; the
    last line counts them.

    On the topics A's decisions are those on mail.classified, B's those on mail.classified.shadow: pairs of labels per head, the share
    of mails where they agree, and, where people have spoken on mail.feedback, who was right, with exact intervals and McNemar's
    test. On a cluster with permissions the user feedback may read all three. With --json one line.

    [bold]mailweir models diff champion build/bundle/ mails.jsonl[/]

    [bold]mailweir models diff champion shadow --days 2[/]

    Exit codes: 0 they say the same; 1 they differ, or a mail was rejected; 2 a path is not there, a bundle cannot be used, no mail
    has decisions of both, no broker or no topic.
    """
    settings = client_settings(registry=registry)
    if not paths:
        one, other = (ModelRef(name=model, version=named_version(settings, model, name)) for name in (before, after))
        if compare_on_topics(settings, (one, other), days, limit, as_json=as_json):
            raise typer.Exit(1)
        return
    check_paths(paths)
    folders = [bundle_folder(settings, model, named) for named in (before, after)]
    found, rows = _Found(), []
    with progress("deciding twice", total_bytes(paths), rows_on_stdout=True) as advance:
        for item, outcome in _compared(settings, folders, paths):
            advance(1, len(item.value) if isinstance(item, FoundMail) else 0)
            if isinstance(outcome, RecordError):
                found.rejected += 1
                complain(f"{plain(item.origin)}: {outcome.code}: {outcome.message}")
                continue
            differs = changes(*outcome)
            found.add(outcome[0], differs)
            if as_json and differs:
                emit({"mail": item.input_id or item.origin, "changes": [asdict(change) for change in differs]})
            rows += [(item, change) for change in differs if change.flipped]
    emit(asdict(found)) if as_json else _print(found, rows[:limit], len(rows))
    if found.differ or found.rejected:
        raise typer.Exit(1)


Item = FoundMail | Skipped
Pair = tuple[Decision, Decision]


def _compared(
    settings: Settings, folders: Sequence[Path], paths: Sequence[str]
) -> Iterator[tuple[Item, Pair | RecordError]]:
    """Every mail with both decisions about it, or why there is none."""
    from mailweir.models.registry import read_public, trusted_manifest
    from mailweir.models.runtime import Bundle
    from mailweir.services.ingest.limits import limits_of
    from mailweir.services.ingest.raw import RawMail
    from mailweir.services.ingest.sandbox import ParserPool

    key = read_public(settings.models_public_key) if settings.models_public_key else None
    for folder in folders:
        trusted_manifest(folder, key)
    bundles = [Bundle.load(folder, settings.classify_threads) for folder in folders]
    mails = iter(read_mails(paths))
    with asyncio.Runner() as runner:
        parsers = ParserPool(limits_of(settings))
        runner.run(parsers.start())
        try:
            while batch := list(itertools.islice(mails, _BATCH)):
                good = [mail for mail in batch if isinstance(mail, FoundMail)]
                raw = [RawMail(mail.value, mail.mailbox(""), mail.content_type) for mail in good]
                parsed = iter(runner.run(parsers.parse_all(raw)))
                for item in batch:
                    email = item.error if isinstance(item, Skipped) else next(parsed)
                    yield item, email if isinstance(email, RecordError) else _both(bundles, email)
        finally:
            runner.run(parsers.close())


def _both(bundles: Sequence[Bundle], email: Email) -> Pair:
    from mailweir.models.text import compose
    from mailweir.services.classify.decide import decision_of

    given, now = compose(email), utc_now()
    one, two = (
        decision_of(email, scores, bundle.manifest, None, now)
        for bundle in bundles
        for scores in bundle.classify([given])
    )
    return one, two


def _print(found: _Found, rows: Sequence[tuple[Item, Change]], flips: int) -> None:
    to = console()
    to.print(f"{found.differ} of {found.mails} mails differ", style="bold")
    heads = Rows(
        to,
        [
            Column("head", 17),
            Column("other label", 11, right=True),
            Column("same, moved", 11, right=True),
            Column("most", 6, right=True),
        ],
    )
    for name, head in found.heads.items():
        heads.add({"head": name, **_figures(head)})
    if not rows:
        return
    to.print()
    table = Rows(
        to,
        [
            Column("mail", 16, grows=True),
            Column("head", 14),
            Column("A", 22),
            Column("sure", 5, 1, right=True),
            Column("B", 22),
            Column("sure ", 5, 1, right=True),
        ],
    )
    for item, change in rows:
        table.add(_cells(item, change))
    if flips > len(rows):
        to.print(f"… {flips - len(rows)} more: --limit N shows them, --json all", style="dim")


def _figures(head: _Head) -> Mapping[str, str]:
    return {"other label": str(head.flipped), "same, moved": str(head.moved), "most": f"{head.largest:.3f}"}


def _cells(item: Item, change: Change) -> Mapping[str, str]:
    return {
        "mail": (item.input_id or item.origin).rpartition("/")[2],
        "head": change.head,
        "A": change.before or "-",
        "sure": f"{change.before_probability:.2f}",
        "B": change.after or "-",
        "sure ": f"{change.after_probability:.2f}",
    }
