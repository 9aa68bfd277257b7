"""Closed shards with made-up figures, for tests of the retrain trigger: the figures are in the address."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, unquote

from mailweir.models.feedback import Corrected, Decided, FeedbackRow, write_rows
from mailweir.schemas.errors import InputError
from mailweir.schemas.events import (
    Alternative,
    Correction,
    OffsetRange,
    RetrainFinished,
    RetrainRequested,
    ShardClosed,
    TaxonomyRef,
)
from mailweir.schemas.headers import event_headers
from mailweir.schemas.ids import digest
from mailweir.services.retrain.counts import Said, ShardCounts, Tally
from mailweir.services.stream import Outgoing

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
EMAIL = TaxonomyRef(name="email", version=1)


def counts(
    human: int, wrong: int = 0, sure: float = 0.9, at: datetime = NOON, **labels: tuple[int, int]
) -> ShardCounts:
    """One verdict of each person, `wrong` of them against the model; labels as `intent__none=(right, wrong)`."""
    tallies = {name.replace("__", "/"): Tally(*pair) for name, pair in labels.items()}
    return ShardCounts(human, Tally(human - wrong, wrong), human * sure, tallies, at - timedelta(hours=1), at)


def said(version: str, verdicts: int, wrong: int, at: datetime, people: int = 5) -> ShardCounts:
    """A shard of verdicts on one version, given in one minute."""
    minute = at.replace(second=0, microsecond=0)
    names = frozenset(f"p{number}" for number in range(people))
    return ShardCounts(versions={(version, minute): Said(Tally(verdicts - wrong, wrong), names, verdicts)})


def shard(number: int, human: int = 10, wrong: int = 0, taxonomy: TaxonomyRef = EMAIL) -> ShardClosed:
    """A shard of `human` words, given now."""
    figures = {"human": human, "wrong": wrong}
    return ShardClosed(
        shard_id=f"mail.feedback-0-{number:08d}",
        uri=f"figures:{quote(json.dumps(figures))}",
        sha256=digest("shard", str(number)),
        rows=human,
        bytes=1,
        ranges=(OffsetRange(topic="mail.feedback", partition=0, first=number * 100, last=number * 100 + 99),),
        taxonomy=taxonomy,
        cause="count",
        closed_at=datetime.now(UTC),
    )


def count_figures(closed: ShardClosed) -> ShardCounts:
    """The figures of a `shard`."""
    kind, _, figures = closed.uri.partition(":")
    if kind != "figures":
        raise InputError(f"{closed.uri} is gone")
    return counts(at=datetime.now(UTC), **json.loads(unquote(figures)))


def record(event: ShardClosed | RetrainRequested | RetrainFinished, prefix: str = "mail") -> Outgoing:
    """As it is written to its topic."""
    topic, key = ("shards", event.shard_id) if isinstance(event, ShardClosed) else ("retrain", event.run_id)
    headers = event_headers(event, "test", f"00-{'1' * 32}-{'2' * 16}-01")
    return Outgoing(f"{prefix}.{topic}", key.encode(), event.encode(), headers)


def rows(number: int, people: int, wrong: int = 0) -> list[FeedbackRow]:
    """Words of `people` persons about a mail each; the first `wrong` of them say another intent."""
    return [
        _row(number * people + one, corrected="complaint" if one < wrong else "information") for one in range(people)
    ]


def _row(at: int, corrected: str) -> FeedbackRow:
    return FeedbackRow(
        topic="mail.feedback",
        partition=0,
        offset=at,
        feedback_id=digest("feedback", str(at)),
        decision_id=digest("decision", str(at)),
        email_id=digest("email", str(at)),
        person=f"p{at % 7}",
        origin="human",
        given_at=datetime.now(UTC).replace(microsecond=0),
        taxonomy_name=EMAIL.name,
        taxonomy_version=EMAIL.version,
        model_name="email",
        model_version="1",
        subject="Hours",
        body="When are you open?",
        decided=Decided(heads={"intent": Alternative(label="information", probability=0.75)}),
        corrected=Corrected(heads={"intent": Correction(label=corrected, confirmed=corrected == "information")}),
    )


def file_shard(folder: Path, number: int, people: int, wrong: int = 0) -> ShardClosed:
    """A shard with a file, as the feedback agent leaves it."""
    return _filed(folder, number, rows(number, people, wrong))


def file_shard_of(folder: Path, number: int, version: str, people: int, wrong: int) -> ShardClosed:
    """The same, of words about the decisions of one version."""
    about = [row.model_copy(update={"model_version": version}) for row in rows(number, people, wrong)]
    return _filed(folder, number, about)


def _filed(folder: Path, number: int, about: list[FeedbackRow]) -> ShardClosed:
    data = write_rows(about)
    path = folder / f"shard-{number}.parquet"
    path.write_bytes(data)
    change = {"uri": path.as_uri(), "sha256": hashlib.sha256(data).hexdigest(), "rows": len(about), "bytes": len(data)}
    return shard(number).model_copy(update=change)
