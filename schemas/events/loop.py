"""The learning loop: shards closed, runs asked for and finished, models promoted."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from mailweir.schemas.events.base import Event, Part, Sha256, UtcTime
from mailweir.schemas.events.decision import ModelRef, TaxonomyRef

__all__ = ["ModelPromoted", "OffsetRange", "RetrainFinished", "RetrainRequested", "ShardClosed", "ShardRef"]


class OffsetRange(Part):
    """A run of offsets of one partition."""

    topic: str
    partition: int = Field(ge=0)
    first: int = Field(ge=0, description="First offset, included.")
    last: int = Field(ge=0, description="Last offset, included.")


class ShardRef(Part):
    """A shard by id and content."""

    shard_id: str
    sha256: Sha256


class ShardClosed(Event):
    """A Parquet shard of feedback is complete and durable."""

    ce_type: ClassVar[str] = "mailweir.shard_closed"

    shard_id: str = Field(description="Follows from topic, partition and offsets.")
    uri: str = Field(description="Where the file is (fsspec).")
    sha256: Sha256 = Field(description="Hash of the file.")
    rows: int = Field(ge=0)
    bytes: int = Field(ge=0)
    ranges: tuple[OffsetRange, ...] = Field(description="The feedback records that are in it.")
    taxonomy: TaxonomyRef
    cause: Literal["count", "bytes", "age", "stop", "taxonomy", "withdrawal"] = Field(
        description="Why it was closed; taxonomy: the next row has another label space; withdrawal: a person's words were "
        "taken back, and the next run must know."
    )
    closed_at: UtcTime

    @property
    def event_id(self) -> str:
        """The shard id."""
        return self.shard_id


class RetrainRequested(Event):
    """The trigger asks for a training run."""

    ce_type: ClassVar[str] = "mailweir.retrain_requested"

    run_id: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",  # it names a folder
        description="Follows from what is beaten, learned from and continued, and from the run before.",
    )
    shards: tuple[ShardRef, ...] = Field(description="What to learn from.")
    champion: ModelRef = Field(description="The model to beat.")
    taxonomy: TaxonomyRef
    cause: str = Field(description="Why now, in one sentence.")
    requested_by: str = Field(description="policy, or the opaque id of who asked.")
    requested_at: UtcTime
    start: ModelRef | None = Field(
        default=None,
        description="The bundle to continue training from; null: the champion. A rebuild after a withdrawal names the latest "
        "that has learned nothing from the withdrawn words.",
    )

    @property
    def event_id(self) -> str:
        """The run id and what happened to it."""
        return f"{self.run_id}:requested"


class RetrainFinished(Event):
    """A training run ended: promoted, refused by the gate, or failed."""

    ce_type: ClassVar[str] = "mailweir.retrain_finished"

    run_id: str
    outcome: Literal["promoted", "refused", "failed"]
    candidate: ModelRef | None = Field(default=None, description="The new bundle; null if none was made.")
    reasons: tuple[str, ...] = Field(default=(), description="The gate's reasons or the error.")
    metrics: dict[str, float] = Field(default_factory=dict)
    finished_at: UtcTime
    setup_failed: bool = Field(
        default=False,
        description="True if it could not begin or go on as its machine is set up: nothing was judged, and the pause between "
        "runs does not count from it.",
    )

    @property
    def event_id(self) -> str:
        """The run id and what happened to it."""
        return f"{self.run_id}:finished"


class ModelPromoted(Event):
    """A bundle became champion; a hint, the registry's pointer is the truth."""

    ce_type: ClassVar[str] = "mailweir.model_promoted"

    model: ModelRef
    previous: ModelRef | None = Field(default=None, description="The champion before; null at the first promotion.")
    uri: str = Field(description="Where the bundle is (fsspec).")
    manifest_sha256: Sha256
    cause: str = Field(description="Run id, or why a person did it.")
    promoted_at: UtcTime

    @property
    def event_id(self) -> str:
        """Model, version and time of the promotion."""
        return f"{self.model.name}:{self.model.version}:{self.promoted_at.isoformat()}"
