"""Every label that a metric of ours may have, and the values that it may take. Never a mail or a person; a mailbox only by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from mailweir.schemas.errors import MailweirError
from mailweir.schemas.events import Origin, ReviewWhy, Tier
from mailweir.schemas.taxonomy import installed_taxonomies
from mailweir.schemas.topics import TOPICS
from mailweir.services.cli.worker import STAGES
from mailweir.services.retrain.policy import CODES
from mailweir.services.settings import Settings
from mailweir.services.telemetry.labels import MOST_RULES, MOST_VERSIONS, OTHER
from mailweir.services.trainer.progress import PHASES


def _codes(kind: type[MailweirError] = MailweirError) -> Iterator[str]:
    yield kind.code
    for below in kind.__subclasses__():
        yield from _codes(below)


_LABELS = {name for taxonomy in installed_taxonomies() for head in taxonomy.heads for name in taxonomy.labels(head)}

CLOSED: dict[str, set[str]] = {
    "stage": {*STAGES},
    "topic": {topic.full_name("mail") for topic in TOPICS},
    "code": {*_codes(), "unexpected"},
    "tier": {*get_args(Tier)},
    "head": {head for taxonomy in installed_taxonomies() for head in taxonomy.heads},
    "label": _LABELS,
    "needs_review": {"true", "false"},
    "outcome": {"published", "rejected", "kept", "done", "refused", "failed", "promoted", "left", "sent", "dropped"},
    "cause": {"in_ledger", "raised", "not_committed", "count", "bytes", "age", "stop", "taxonomy", "withdrawal"},
    "step": {
        *("handle", "publish", "find", "keep", "parse", "tokenize", "model", "entities", "sentences"),
        *("rules", "linear"),
        *("contact", "pull", "commit", "rewind", "shard"),
    },
    "reason": {*CODES, "labels", "weak_class", "burn", "drift"},
    "why": {*get_args(ReviewWhy)},
    "phase": {*PHASES},
    "origin": {*get_args(Origin)},
    "sample": {"lot", "given", "rule", "implicit"},
    "verdict": {"right", "wrong", "passed", "refused"},
    "role": {"champion", "shadow"},
    "file": {"ca", "cert"},
}
"""Values that we write: all of them."""

MOST: dict[str, tuple[int, str]] = {
    "partition": (max(topic.partitions for topic in TOPICS), "of the table; who asks for more has more"),
    "name": (2, "models: email and task"),
    "version": (MOST_VERSIONS, "the others are forgotten"),
    "mailbox": (
        1 + next(rule.max_length for rule in Settings.model_fields["metrics_mailboxes"].metadata),
        f"those of the setting, and {OTHER}",
    ),
    "rule": (MOST_RULES + 1, f"the first that were met, and {OTHER}"),
}
"""Values that others choose: how many at most, and why no more."""


def sizes() -> dict[str, int]:
    """How many values each label can have in one process."""
    return {name: len(values) for name, values in CLOSED.items()} | {name: most for name, (most, _) in MOST.items()}


def is_one(label: str, value: str) -> bool:
    """Whether it is a value that the label may have; a topic has whatever prefix the settings say."""
    if label == "topic":
        value = f"mail.{value.partition('.')[2]}"
    return value in CLOSED[label] if label in CLOSED else label in MOST
