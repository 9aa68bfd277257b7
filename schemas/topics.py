"""The topics table: every topic of mailweir, once. Creation, checks, ACLs, documentation and tests read it from here."""

from __future__ import annotations

from dataclasses import dataclass

from mailweir.schemas.events import (
    DeadLetter,
    Decision,
    Email,
    Event,
    Feedback,
    ModelPromoted,
    RawEmail,
    RetrainFinished,
    RetrainRequested,
    ReviewAsked,
    ShardClosed,
)

__all__ = [
    "CLASSIFIED",
    "DEAD",
    "FEEDBACK",
    "MAX_MAIL_BYTES",
    "MODELS",
    "PARSED",
    "RAW",
    "RETRAIN",
    "REVIEW",
    "SHADOW",
    "SHARDS",
    "TOPICS",
    "Topic",
]

_DAY_MS = 24 * 60 * 60 * 1000
_MIB = 1024 * 1024

MAX_MAIL_BYTES = 26_000_000
"""Largest mail that goes onto `mail.raw`, in bytes: the common gateway limit of 25 MB and what encoding adds at the edge."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: what is on it, who writes and reads it, how it is kept."""

    name: str  # without the prefix: "raw" is mail.raw under the default prefix
    key: str  # what the record key is
    events: tuple[type[Event], ...]  # what a value can be
    # Parties are the agents, by name, and whoever stands outside: sender (a gateway), watcher (a consumer of decisions), reviewer (a person
    # who answers), client (an application that does all of it), operator (who looks after mailweir).
    writers: tuple[str, ...]  # parties that produce to it
    readers: tuple[str, ...]  # … that consume from it
    partitions: int
    retention_ms: int  # -1: for ever
    compacted: bool = False
    max_record_bytes: int = _MIB  # broker, producer and reader agree on it
    meaning: str = ""

    def full_name(self, prefix: str) -> str:
        """The name on the cluster."""
        return f"{prefix}.{self.name}"

    def config(self) -> dict[str, str]:
        """Topic settings as Kafka names them."""
        return {
            "cleanup.policy": "compact" if self.compacted else "delete",
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(self.max_record_bytes),
        }


RAW = Topic(
    name="raw",
    key="mailbox",
    events=(RawEmail,),
    writers=("client", "sender"),
    readers=("ingest",),
    partitions=12,
    retention_ms=7 * _DAY_MS,
    # 26 MB of mail, its key and headers, and the record batch around it
    max_record_bytes=26 * _MIB,
    meaning="Mail as it came: RFC 822 bytes or JSON.",
)
PARSED = Topic(
    name="parsed",
    key="email id",
    events=(Email,),
    writers=("ingest",),
    readers=("classify", "feedback", "operator", "review", "reviewer"),
    partitions=12,
    retention_ms=30 * _DAY_MS,
    # a body at ingest's limit of 262,144 characters is at most 1.5 MiB of JSON; the rest is addresses and references
    max_record_bytes=4 * _MIB,
    meaning="Parsed mail: text, people, dates, zones.",
)
CLASSIFIED = Topic(
    name="classified",
    key="email id",
    events=(Decision,),
    writers=("classify", "operator"),  # operator: whoever repairs what a demoted model decided, or replays it
    readers=("client", "feedback", "operator", "review", "reviewer", "watcher"),
    partitions=12,
    retention_ms=30 * _DAY_MS,
    max_record_bytes=4 * _MIB,
    meaning="Decisions, the public contract.",
)
SHADOW = Topic(
    name="classified.shadow",
    key="email id",
    events=(Decision,),
    writers=("classify",),
    # feedback: its user also reads what people said, and so can tell who was right (`mailweir models diff`)
    readers=("client", "feedback"),
    partitions=12,
    retention_ms=30 * _DAY_MS,
    max_record_bytes=4 * _MIB,
    meaning="Decisions of a candidate on a share of the mail, beside the champion's; for comparison only.",
)
REVIEW = Topic(
    name="review",
    key="email id",
    events=(ReviewAsked,),
    writers=("review",),
    readers=("feedback", "operator", "review", "reviewer"),
    # one log in one order: everybody who reads it knows the same budget; a question is 1 KB, and there are tens a day
    partitions=1,
    retention_ms=30 * _DAY_MS,  # as long as the mail that it is about
    meaning="Decisions that people are asked about.",
)
FEEDBACK = Topic(
    name="feedback",
    key="email id",
    events=(Feedback,),
    writers=("client", "reviewer"),
    readers=("feedback", "review", "reviewer"),
    partitions=6,
    retention_ms=90 * _DAY_MS,
    meaning="What people, rules and later behaviour say about decisions.",
)
SHARDS = Topic(
    name="shards",
    key="shard id",
    events=(ShardClosed,),
    writers=("feedback",),
    readers=("operator", "retrain", "trainer"),
    partitions=1,
    retention_ms=365 * _DAY_MS,
    meaning="Closed shards of feedback.",
)
RETRAIN = Topic(
    name="retrain",
    key="run id",
    events=(RetrainRequested, RetrainFinished),
    writers=("operator", "retrain", "trainer"),
    readers=("operator", "retrain", "trainer"),
    partitions=1,
    retention_ms=365 * _DAY_MS,
    meaning="Training runs, asked for and finished.",
)
MODELS = Topic(
    name="models",
    key="model name",
    events=(ModelPromoted,),
    writers=("trainer", "retrain", "operator"),
    readers=("client",),
    partitions=1,
    retention_ms=-1,
    compacted=True,
    meaning="The champion of each model.",
)
DEAD = Topic(
    name="dead",
    key="original key",
    events=(DeadLetter,),
    writers=("ingest", "classify", "feedback", "retrain", "review", "trainer"),
    readers=("client", "operator"),
    partitions=6,
    retention_ms=30 * _DAY_MS,
    # everything that mail.raw takes and the headers that say why it is here
    max_record_bytes=27 * _MIB,
    meaning="Rejected records, untouched, with the cause in headers.",
)

TOPICS: tuple[Topic, ...] = (RAW, PARSED, CLASSIFIED, SHADOW, REVIEW, FEEDBACK, SHARDS, RETRAIN, MODELS, DEAD)
