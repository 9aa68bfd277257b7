"""What a bundle learned from, as the `data` of its manifest tells.

    data["shards"]    [{"shard_id": …, "sha256": …, "rows": …}], the shards that its run was given
    data["feedback"]  `learned_feedback(ids)`: which of their words it was fitted on, as marks of feedback ids
    data["start"]     {"name": …, "version": …}, the bundle that its training continued from; what that one learned it inherits

A shard goes on holding words that were withdrawn later, so it is the marks that prove a bundle free of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Self

from pydantic import Field, ValidationError

from mailweir.schemas.errors import BundleError
from mailweir.schemas.events import ModelRef, Part, Sha256, ShardRef
from mailweir.schemas.ids import digest

__all__ = ["LearnedFrom", "learned_feedback", "mark"]

_MARK = 16  # hex digits: a million words of a bundle against a thousand of a person meet by chance once in 10^10


class _Marks(Part):
    rows: int = Field(ge=0)
    sha256: Sha256
    marks: tuple[str, ...]


class LearnedFrom(Part):
    """The feedback that went into a bundle."""

    shards: tuple[ShardRef, ...] = Field(default=(), description="That its run was given.")
    marks: frozenset[str] | None = Field(default=None, description="Of the words used; null: not recorded.")
    start: ModelRef | None = Field(default=None, description="What training continued from; null: not recorded.")

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """From a manifest's `data`; a bundle without these keys has learned from no feedback.

        Raises:
            BundleError: a key has another form, or the marks are not those that were counted.
        """
        try:
            marks = _Marks.model_validate(data["feedback"]) if "feedback" in data else None
            shards = tuple(ShardRef.model_validate(one, extra="ignore") for one in data.get("shards", ()))
            start = ModelRef.model_validate(data["start"]) if data.get("start") else None
        except (ValidationError, TypeError) as error:
            raise BundleError("the manifest's data: shards, feedback or start have a form that is not known") from error
        if marks is not None and (len(marks.marks), _sum(marks.marks)) != (marks.rows, marks.sha256):
            raise BundleError("the manifest's data: the marks of feedback are not those that its sum was made of")
        return cls(shards=shards, marks=frozenset(marks.marks) if marks else None, start=start)

    def used(self, feedback_ids: Iterable[str]) -> int | None:
        """How many of these words it was fitted on; None where that was not recorded."""
        return None if self.marks is None else sum(mark(one) in self.marks for one in set(feedback_ids))


def learned_feedback(feedback_ids: Iterable[str]) -> dict[str, Any]:
    """What a trainer records under `feedback`: the words that admission let through, by their marks."""
    marks = sorted({mark(one) for one in feedback_ids})
    return {"rows": len(marks), "sha256": _sum(marks), "marks": marks}


def mark(feedback_id: str) -> str:
    """A short digest of a word's id: who has the id can look for it, who has the bundle learns nothing of it."""
    return digest("learned", feedback_id)[:_MARK]


def _sum(marks: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()
