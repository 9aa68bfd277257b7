"""Every error that mailweir raises, in one tree.

    MailweirError
    ├── SetupError              the process cannot start: exit code 2, the message names the remedy
    │   ├── SettingsError           a setting or option is wrong
    │   ├── TopicMissing            a topic of the table is not on the cluster
    │   ├── BrokerUnreachable       nothing answers at the bootstrap address, or it refuses us
    │   ├── KafkaSetupError         the development broker cannot start (Java, jars, port, folder)
    │   ├── InputError              a path or row that the user named cannot be read
    │   └── RegistryError           a registry, a version in it or a key cannot be used
    ├── RecordError             this record is at fault: it becomes a dead letter, its neighbours go on
    │   ├── EmptyRecord, NotAMail, MailTooLarge, LimitExceeded, ParseTimeout, ParserCrashed
    │   ├── UnknownContentType, MalformedJson, InvalidEvent, UnknownSchemaVersion
    │   ├── UnknownLabel, UnknownTaxonomy, OtherTaxonomy, OutputTooLarge
    │   ├── MailExpired, UnknownDecision
    │   └── Unexpected              a defect of ours that only this record triggers
    ├── DependencyError         something we need is away: the partition is held and the work retried
    ├── DeliveryError           going on would lose mail: the worker stops with exit code 1
    │   ├── OffsetHole, RejectRatioExceeded, AccessRefused, AgentEnded,
    │       WriteRefused
    ├── BundleError             a model bundle is missing, changed, unsigned or of another kind
    └── ChampionChanged         somebody else promoted first: nothing was changed, look and decide again

`code` is stable: it is the metric label, the dead-letter header and what scripts match on.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AccessRefused",
    "AgentEnded",
    "BrokerUnreachable",
    "BundleError",
    "ChampionChanged",
    "DeliveryError",
    "DependencyError",
    "EmptyRecord",
    "InputError",
    "InvalidEvent",
    "KafkaSetupError",
    "LimitExceeded",
    "MailExpired",
    "MailTooLarge",
    "MailweirError",
    "MalformedJson",
    "NotAMail",
    "OffsetHole",
    "OtherTaxonomy",
    "OutputTooLarge",
    "ParseTimeout",
    "ParserCrashed",
    "RecordError",
    "RegistryError",
    "RejectRatioExceeded",
    "SettingsError",
    "SetupError",
    "TopicMissing",
    "Unexpected",
    "UnknownContentType",
    "UnknownDecision",
    "UnknownLabel",
    "UnknownSchemaVersion",
    "UnknownTaxonomy",
    "WriteRefused",
]


class MailweirError(Exception):
    """Root of the tree. `detail` keeps the data that caused the error, never a mail's text."""

    code: ClassVar[str] = "mailweir_error"

    def __init__(self, message: str, **detail: object) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the way back from a parser process with `detail` intact."""
        return (_rebuild, (type(self), self.message, self.detail))


def _rebuild(kind: type[MailweirError], message: str, detail: dict[str, object]) -> MailweirError:
    return kind(message, **detail)


class SetupError(MailweirError):
    """The process cannot start as it is set up."""

    code = "setup"


class SettingsError(SetupError):
    """A setting or an option has a value that cannot work."""

    code = "settings"


class TopicMissing(SetupError):
    """A topic of the table does not exist on the cluster."""

    code = "topic_missing"


class BrokerUnreachable(SetupError):
    """No broker answers at the bootstrap address, or it refuses our credentials."""

    code = "broker_unreachable"


class KafkaSetupError(SetupError):
    """The development broker cannot start here: Java, jars, port or folder."""

    code = "kafka_setup"


class InputError(SetupError):
    """A path or a row named by the user cannot be read."""

    code = "input"


class RegistryError(SetupError):
    """The registry of models, a version in it or a key cannot be used."""

    code = "registry"


class RecordError(MailweirError):
    """One record is at fault; it goes to `mail.dead` and the stream goes on."""

    code = "record"


class EmptyRecord(RecordError):
    """The record has no value or only white space."""

    code = "empty"


class NotAMail(RecordError):
    """The bytes are no RFC 5322 message: no header field that a mail has."""

    code = "not_a_mail"


class MailTooLarge(RecordError):
    """The mail is above ingest's own byte limit."""

    code = "too_large"


class LimitExceeded(RecordError):
    """Too many parts, headers or levels; `detail` names the limit."""

    code = "limit_exceeded"


class ParseTimeout(RecordError):
    """Parsing took longer than the seconds allowed and was cut off."""

    code = "parse_timeout"


class ParserCrashed(RecordError):
    """The parser process died on this mail."""

    code = "parser_crashed"


class UnknownContentType(RecordError):
    """The `content-type` header names no format that ingest reads."""

    code = "unknown_content_type"


class MalformedJson(RecordError):
    """The value is not JSON."""

    code = "malformed_json"


class InvalidEvent(RecordError):
    """The value is JSON but not the event that this topic carries."""

    code = "invalid_event"


class UnknownSchemaVersion(RecordError):
    """The event is of a schema version newer than this software."""

    code = "unknown_schema_version"


class UnknownLabel(RecordError):
    """A head or label that the named taxonomy does not define."""

    code = "unknown_label"


class UnknownTaxonomy(RecordError):
    """A taxonomy that is not installed here."""

    code = "unknown_taxonomy"


class OtherTaxonomy(RecordError):
    """The word speaks of another taxonomy, or another version of it, than the decision that it is about."""

    code = "other_taxonomy"


class MailExpired(RecordError):
    """The mail that the word is about is no longer where the decision says that it lies."""

    code = "mail_expired"


class UnknownDecision(RecordError):
    """No decision of that id about that mail is on `mail.classified`."""

    code = "unknown_decision"


class OutputTooLarge(RecordError):
    """What a stage made of the record does not fit into the next topic."""

    code = "output_too_large"


class Unexpected(RecordError):
    """A defect of ours: the stage raised something it should not have on this record alone."""

    code = "unexpected"


class DependencyError(MailweirError):
    """A broker, registry or store is away; held and retried, nothing is dropped."""

    code = "dependency"


class DeliveryError(MailweirError):
    """Going on would lose or hide mail; the worker stops and resumes from the committed offset."""

    code = "delivery"


class OffsetHole(DeliveryError):
    """The reader was given an offset that is not the next one, and the broker has the ones between."""

    code = "offset_hole"


class RejectRatioExceeded(DeliveryError):
    """So many records of a window were rejected that the cause is not the mail."""

    code = "reject_ratio"


class AccessRefused(DeliveryError):
    """The broker refuses to let us read, write or commit, and no retry heals it."""

    code = "access_refused"


class AgentEnded(DeliveryError):
    """An agent's loop ended: nobody would take the next batch, and the one in its hands is not done."""

    code = "agent_ended"


class WriteRefused(DeliveryError):
    """The broker will never take a record as it is: it is above the topic's limit, or not what the topic's settings ask for."""

    code = "write_refused"


class BundleError(MailweirError):
    """A model bundle is missing, changed, unsigned where a signature is asked for, or not of the kind that is asked for."""

    code = "bundle"


class ChampionChanged(MailweirError):
    """A promotion expected another champion than there is: somebody else was faster. Nothing was changed."""

    code = "champion_changed"
