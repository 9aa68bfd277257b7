"""Delivery: every mail is decided at least once or lies in `mail.dead`. Outside this package no code knows offsets."""

from mailweir.services.stream.batch import Abandoned, Batch, Publisher, agent_ended
from mailweir.services.stream.certificates import certificate_ends
from mailweir.services.stream.decoding import decode_all
from mailweir.services.stream.gather import BatchLimits, Weigh
from mailweir.services.stream.kafka import KafkaBus
from mailweir.services.stream.letters import Result
from mailweir.services.stream.reader import Reader
from mailweir.services.stream.record import Kept, Outgoing, Partition, Record
from mailweir.services.stream.spans import StageSpans, sent_span, traces_of
from mailweir.services.stream.stream import Stream, one_token
from mailweir.services.stream.transport import Bus, Journal, Lookup, Scan, Sink, Source

__all__ = [
    "Abandoned",
    "Batch",
    "BatchLimits",
    "Bus",
    "Journal",
    "KafkaBus",
    "Kept",
    "Lookup",
    "Outgoing",
    "Partition",
    "Publisher",
    "Reader",
    "Record",
    "Result",
    "Scan",
    "Sink",
    "Source",
    "StageSpans",
    "Stream",
    "Weigh",
    "agent_ended",
    "certificate_ends",
    "decode_all",
    "one_token",
    "sent_span",
    "traces_of",
]
