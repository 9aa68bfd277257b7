"""What feedback a bundle learned from, as its manifest tells.

    data.feedback         {"run_id", "parent", "shards": [{"shard_id", "sha256", …}], …}: the run and the shards that it was given
    data.fitted_rows      ids of the rows of feedback that it was fitted on: `feedback-` and the id of a word
    recipe.continued_from version of the bundle whose weights its training went on from; null: none

A shard goes on holding words that were withdrawn later, so it is the rows that show a bundle free of them.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Self

from pydantic import Field, ValidationError

from mailweir.schemas.errors import BundleError
from mailweir.schemas.events import ModelRef, Part, ShardRef
from mailweir.schemas.manifest import Manifest

__all__ = ["LearnedFrom"]

_ROW = re.compile(r"feedback-([0-9a-f]{64})")


class LearnedFrom(Part):
    """The feedback that went into a bundle."""

    shards: tuple[ShardRef, ...] = Field(default=(), description="That its run was given.")
    words: frozenset[str] | None = Field(default=frozenset(), description="Ids of those used; null: not recorded.")
    start: ModelRef | None = Field(default=None, description="Whose weights its training went on from.")

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """From a manifest; a bundle that no run of feedback made has learned from none.

        One that does not say what it continued is taken to have continued the bundle whose recipe it followed.

        Raises:
            BundleError: what it tells has another form; the message names the bundle.
        """
        data, model = manifest.data, manifest.model
        feedback = data.get("feedback")
        try:
            run = _Run.model_validate(feedback, extra="ignore") if feedback is not None else None
            words = _words(data["fitted_rows"]) if "fitted_rows" in data else None if run else frozenset()
            start = ModelRef(name=model.name, version=version) if (version := _continued(manifest)) else None
        except (ValidationError, TypeError) as error:
            message = (
                f"{model.name} {model.version}: its manifest tells in an unknown form what feedback it learned from"
            )
            raise BundleError(message, version=model.version) from error
        unsaid = run is not None and "continued_from" not in manifest.recipe
        return cls(shards=run.shards if run else (), words=words, start=run.parent if run and unsaid else start)

    def used(self, feedback_ids: Collection[str]) -> int | None:
        """How many rows of these words it was fitted on; None where that was not recorded."""
        return None if self.words is None else len(self.words & set(feedback_ids))


class _Run(Part):
    shards: tuple[ShardRef, ...]
    parent: ModelRef | None = None


def _words(rows: Any) -> frozenset[str]:
    return frozenset(found[1] for row in rows if (found := _ROW.match(row)))


def _continued(manifest: Manifest) -> str | None:
    found = manifest.recipe.get("continued_from")
    return None if found is None else str(found)
