"""What a ledger holds of one person: rows, the files that they are in, and what is withdrawn of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from mailweir.models.feedback import FeedbackRow, once, read_rows, taken_back
from mailweir.schemas.events import Coordinates, Feedback, ModelRef, TaxonomyRef
from mailweir.services.feedback.names import LEDGER, SHARDS
from mailweir.services.feedback.store import Store

__all__ = ["HeldFile", "Holdings", "holdings", "withdrawals"]


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file of the ledger with rows of the person."""

    path: str
    sha256: str
    rows: int  # all of it
    mine: tuple[FeedbackRow, ...]  # the person's
    announced: bool  # a shard that runs are told of

    @property
    def name(self) -> str:
        """Of a shard its id."""
        return PurePosixPath(self.path).stem

    @property
    def words(self) -> int:
        """The person's rows that say something."""
        return sum(not row.corrected.empty for row in self.mine)


@dataclass(frozen=True, slots=True)
class Holdings:
    """Everything that a ledger holds of a person."""

    uri: str
    person: str
    segments: tuple[HeldFile, ...]
    shards: tuple[HeldFile, ...]

    @property
    def rows(self) -> list[FeedbackRow]:
        """The person's rows, one per place."""
        return once(row for file in (*self.segments, *self.shards) for row in file.mine)

    @property
    def words(self) -> list[FeedbackRow]:
        """Rows that say something, withdrawn or not."""
        return [row for row in self.rows if not row.corrected.empty]

    @property
    def left(self) -> list[FeedbackRow]:
        """Words that are not withdrawn: they may be learned from."""
        gone = taken_back(self.rows)
        return [row for row in self.words if (row.person, row.feedback_id) not in gone]

    @property
    def open(self) -> list[FeedbackRow]:
        """Words that nobody withdrew in the person's name yet; what the person withdrew alone, the person can bring back."""
        gone = {row.withdraws for row in self.rows if row.by_another}
        return [row for row in self.words if row.feedback_id not in gone]

    @property
    def untold(self) -> list[FeedbackRow]:
        """Words whose withdrawal is in no announced shard: a run that is asked for now would learn from them."""
        told = {row.withdraws for file in self.shards if file.announced for row in file.mine if row.by_another}
        return [row for row in self.words if row.feedback_id not in told]

    def withdrawal_of(self, feedback_id: str) -> FeedbackRow | None:
        """The first withdrawal of a word; one in the person's name goes before the person's own."""
        found = [row for row in self.rows if row.withdraws == feedback_id]
        return min(found, key=lambda row: (not row.by_another, row.given_at), default=None)


def holdings(store: Store, person: str) -> Holdings:
    """Read the whole ledger, file by file; only the person's rows are kept.

    Raises:
        DependencyError: the store does not answer.
        InputError: a file is no part of a ledger.
    """
    said = {name for name in store.names(SHARDS) if name.endswith(".json")}
    return Holdings(
        store.uri(),
        person,
        tuple(_held(store, store.tree(LEDGER, ".parquet"), person, said)),
        tuple(_held(store, store.tree(SHARDS, ".parquet"), person, said)),
    )


def withdrawals(rows: Iterable[FeedbackRow], by: str, why: str, at: datetime) -> list[Feedback]:
    """One withdrawal for each word, in the name of the person who said it. Pure."""
    words: dict[str, FeedbackRow] = {}
    for row in rows:
        words.setdefault(row.feedback_id, row)
    return [_withdrawal(row, by, why, at) for row in words.values()]


def _withdrawal(row: FeedbackRow, by: str, why: str, at: datetime) -> Feedback:
    return Feedback(
        decision_id=row.decision_id,
        email_id=row.email_id,
        source=Coordinates(topic=row.topic, partition=row.partition, offset=row.offset),
        model=ModelRef(name=row.model_name, version=row.model_version),
        taxonomy=TaxonomyRef(name=row.taxonomy_name, version=row.taxonomy_version),
        person=row.person,
        origin="human",
        given_at=at,
        note=why,
        withdraws=row.feedback_id,
        given_by=by,
    )


def _held(store: Store, paths: Iterable[str], person: str, said: set[str]) -> Iterator[HeldFile]:
    for path in paths:
        data = store.read(path)
        rows = read_rows(data, path)
        mine = tuple(row for row in rows if row.person == person)
        if mine:
            announced = f"{PurePosixPath(path).stem}.json" in said
            yield HeldFile(path, hashlib.sha256(data).hexdigest(), len(rows), mine, announced)
