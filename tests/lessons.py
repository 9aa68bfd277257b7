"""A champion, and shards of words about mails of the corpus that it was not fitted on: what a training run needs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from factories import settings

from mailweir.models.feedback import Corrected, Decided, FeedbackRow, write_rows
from mailweir.models.registry import Registry
from mailweir.models.training.corpus import MailRow, load_mails
from mailweir.models.training.gate import Limits
from mailweir.schemas.events import (
    Alternative,
    Correction,
    ModelRef,
    OffsetRange,
    RetrainFinished,
    RetrainRequested,
    ShardClosed,
    ShardRef,
    TaxonomyRef,
)
from mailweir.schemas.ids import digest
from mailweir.services.settings import Settings
from mailweir.services.trainer.carry import carry_out
from mailweir.services.trainer.folder import held
from mailweir.services.trainer.progress import Tell, silent

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
EMAIL = TaxonomyRef(name="email", version=1)
PEOPLE = 12
AUTHORS = ("bram", "gonca", "liam", "mina", "nuri", "yusuf")
"""Of the corpus; the tiny bundle is fitted on others."""


@cache
def mails() -> tuple[MailRow, ...]:
    """Mails that nobody has learned from, authors mixed."""
    return tuple(sorted((row for row in load_mails() if row.author in AUTHORS), key=lambda row: digest("mix", row.id)))


def said(number: int, **changes: Any) -> FeedbackRow:
    """What a person says about mail `number`: its annotated labels."""
    mail = mails()[number]
    labels = {head: label for head in mail.labels if (label := mail.label(head)) is not None}
    values: dict[str, Any] = {
        "topic": "mail.feedback",
        "partition": 0,
        "offset": number,
        "feedback_id": digest("feedback", mail.id),
        "decision_id": digest("decision", mail.id),
        "email_id": digest("email", mail.id),
        "person": f"p{number % PEOPLE}",
        "origin": "human",
        "given_at": NOON + timedelta(seconds=number),
        "taxonomy_name": EMAIL.name,
        "taxonomy_version": EMAIL.version,
        "model_name": "email",
        "model_version": "1.a",
        "subject": mail.subject,
        "sender_domain": mail.sender.rpartition("@")[2],
        "mailbox": mail.mailbox,
        "body": mail.body,
        "language": mail.language,
        "decided": Decided(heads={head: Alternative(label="other", probability=0.5) for head in labels}),
        "corrected": Corrected(heads={head: Correction(label=label) for head, label in labels.items()}),
    }
    return FeedbackRow(**(values | changes))


def shard_of(folder: Path, rows: Sequence[FeedbackRow]) -> ShardClosed:
    """Its file in `folder`, as the feedback agent leaves it."""
    data = write_rows(rows)
    first, last = rows[0].offset, rows[-1].offset
    path = folder / f"shard-{first}.parquet"
    path.write_bytes(data)
    return ShardClosed(
        shard_id=f"mail.feedback-0-{first:08d}-{last:08d}",
        uri=path.as_uri(),
        sha256=hashlib.sha256(data).hexdigest(),
        rows=len(rows),
        bytes=len(data),
        ranges=(OffsetRange(topic="mail.feedback", partition=0, first=first, last=last),),
        taxonomy=EMAIL,
        cause="count",
        closed_at=NOON,
    )


def asked(champion: ModelRef, *shards: ShardClosed, at: datetime | None = None) -> RetrainRequested:
    """The request that names them."""
    named = tuple(ShardRef(shard_id=shard.shard_id, sha256=shard.sha256) for shard in shards)
    return RetrainRequested(
        run_id=digest("run", champion.version, *(shard.sha256 for shard in shards)),
        shards=named,
        champion=champion,
        taxonomy=EMAIL,
        cause="test",
        requested_by="policy",
        requested_at=at or datetime.now(UTC),
    )


def serving(root: Path, tiny: Path) -> Registry:
    """A registry whose champion is the tiny bundle."""
    registry = Registry(root / "registry")
    entry, _ = registry.add(tiny)
    registry.promote(entry.model, expected=None, cause="the first", by="ann")
    return registry


def champion_of(registry: Registry) -> ModelRef:
    """Who is champion."""
    promotion = registry.champion("email")
    assert promotion
    return promotion.model


def run_settings(root: Path, registry: Registry, **changes: Any) -> Settings:
    """For a run in `root`."""
    return settings(**{"registry": registry.root, "trainer_dir": root / "runs", "ledger": str(root)} | changes)


FITTED = ("ada", "cleo", "dov", "ebru", "iris")
"""Whose mail the tiny bundle takes a third of."""
TEST_AUTHOR = "iris"
"""Of these, the one that nothing is fitted on."""
FEW = {"jonas": 30, "pelin": 30, "sam": 30, "vildan": 30}
"""Of the validation authors, whom admission asks."""


def small_corpus(folder: Path) -> Path:
    """The corpus with all that the tiny bundle is made of and a little of the rest: admission takes a third of the time."""
    folder.mkdir()
    for author in (*FITTED, *FEW):
        rows = [row for row in load_mails() if row.author == author][: FEW.get(author)]
        text = "\n".join(row.model_dump_json(by_alias=True) for row in rows)
        (folder / f"{author}.jsonl").write_text(text + "\n", encoding="utf-8")
    return folder


def lenient() -> Limits:
    """A gate that lets a tiny bundle pass, on a machine however busy: what is tested is the run, not the gate."""
    return Limits(
        head_floors={}, class_floor=0, slice_floor=0, worse_overall=1, worse_in_slice=1, calibration=1, answered_worse=1,
        answered_accuracy_worse=1, parity_agreement=0, parity_cost=1, latency_ratio=1e6,
    )  # fmt: skip


def category_only(row: FeedbackRow) -> FeedbackRow:
    """The word without what it says of other heads."""
    heads = {"category": row.corrected.heads["category"]} if "category" in row.corrected.heads else {}
    return row.model_copy(update={"corrected": Corrected(heads=heads)})


def no_page(folder: Path, _judged: object, _data: str) -> Path:
    """In place of the gate's page, whose pictures take longer than the gate."""
    folder.mkdir(exist_ok=True)
    (folder / "index.html").write_text("")
    return folder / "index.html"


def run_once(
    settings: Settings,
    request: RetrainRequested,
    shards: Sequence[ShardClosed],
    tell: Tell = silent,
    limits: Limits | None = None,
) -> RetrainFinished:
    """Carry the run out, without Kafka, in its own folder."""
    with held(settings, request.run_id) as folder:
        return carry_out(settings, request, shards, folder, tell, limits)
