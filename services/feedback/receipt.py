"""The receipt of a withdrawal: what was withdrawn, where it lies, and what the champions have of it, each with its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from mailweir.models.feedback import FeedbackRow
from mailweir.schemas.events import ModelRef, RetrainRequested
from mailweir.services.feedback.holdings import HeldFile, Holdings
from mailweir.services.feedback.unlearn import BundleUse, Known, clean_start

__all__ = ["Receipt", "State"]

State = Literal["done", "rebuild_due", "not_withdrawn"]


@dataclass(frozen=True, slots=True)
class Receipt:
    """Of one person. The same ledger and registry give the same receipt, whoever asks and when."""

    held: Holdings
    known: Known
    uses: Sequence[BundleUse]

    @property
    def due(self) -> list[BundleUse]:
        """The champions that are not shown to be free of the person's words."""
        return [use for use in self.uses if use.champion and not use.free]

    @property
    def state(self) -> State:
        """done: all is withdrawn and every champion was trained without it."""
        if self.held.open:
            return "not_withdrawn"
        return "rebuild_due" if self.due else "done"

    @property
    def start(self) -> ModelRef | None:
        """What a rebuild may continue: the latest champion that is free of the words; None if none is."""
        return clean_start(self.known, self.uses, self.due[0].model.name) if self.due else None

    def answered_by(self, request: RetrainRequested) -> bool:
        """True if the run knows of every withdrawal and continues a bundle that is free of the words."""
        named = {(shard.shard_id, shard.sha256) for shard in request.shards}
        back = {row.withdraws for file in self.held.shards if (file.name, file.sha256) in named for row in file.mine}
        free = {use.model for use in self.uses if use.free}
        return (request.start or request.champion) in free and {row.feedback_id for row in self.held.words} <= back

    def json(self) -> dict[str, Any]:
        """All of it, and under `sha256` the hash of the rest as JSON with sorted keys."""
        told = {
            "person": self.held.person,
            "ledger": self.held.uri,
            "state": self.state,
            "words": [_word(self.held, row) for row in self.held.words],
            "ledger_files": [_file(file) for file in self.held.segments],
            "shards": [_file(file) | {"shard_id": file.name} for file in self.held.shards],
            "bundles": [_bundle(use) for use in self.uses],
        }
        return told | {"sha256": hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()}


def _word(held: Holdings, row: FeedbackRow) -> dict[str, Any]:
    back = held.withdrawal_of(row.feedback_id)
    return {
        "feedback_id": row.feedback_id,
        "place": f"{row.topic}[{row.partition}]@{row.offset}",
        "given_at": row.given_at.isoformat(),
        "withdrawn_by": None if back is None else back.feedback_id,
        "withdrawn_at": None if back is None else back.given_at.isoformat(),
        "asked_by": None if back is None else back.given_by or row.person,
    }


def _file(file: HeldFile) -> dict[str, Any]:
    return {
        "path": file.path,
        "sha256": file.sha256,
        "rows": file.rows,
        "of_person": len(file.mine),
        "words": file.words,
    }


def _bundle(use: BundleUse) -> dict[str, Any]:
    return {
        "model": use.model.name,
        "version": use.model.version,
        "manifest_sha256": use.manifest_sha256,
        "champion": use.champion,
        "shards_with_words": list(use.shards),
        "rows_used": use.used,
        "without_them": use.free,
        "why_not": use.why,
    }
