"""Settings of the stream: Kafka, batches, ingest, classify."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from mailweir.schemas.topics import MAX_MAIL_BYTES

__all__ = ["StreamSettings"]


class StreamSettings(BaseSettings):
    """A part of `Settings`, which is what everything reads."""

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
    kafka_rack: str = Field(
        "",
        description="Zone of this worker: mail is read from a copy in the same zone (KIP-392) where brokers have broker.rack and "
        "replica.selector.class; saves traffic between zones, and a copy may be some milliseconds behind. Empty: the leader.",
    )
    kafka_libs: Path | None = Field(
        None, description="Folder of the jars that `mailweir kafka up` runs; empty: where `make setup` puts them."
    )

    topic_prefix: str = Field(
        "mail", pattern=r"^[A-Za-z0-9_-]+$", description="First part of every topic's name: letters, digits, _ and -."
    )
    group_prefix: str = Field(
        "mailweir",
        pattern=r"^[A-Za-z0-9_.-]+$",
        description="First part of every group's name: letters, digits, _, - and dots.",
    )
    instance: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_.-]*$",
        description="Static membership (KIP-345): a name of letters, digits, _, - and dots that this worker keeps over restarts, one a process. "
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
