"""Delivery at its limits: what just fits, what just trips, and what the producer is told."""

from __future__ import annotations

import pytest
from factories import settings

from mailweir.schemas.errors import MalformedJson
from mailweir.schemas.events import DeadLetter, Email
from mailweir.schemas.topics import DEAD, MAX_MAIL_BYTES, PARSED, RAW
from mailweir.services.stream import Record
from mailweir.services.stream.breaker import RejectBreaker
from mailweir.services.stream.letters import Writer
from mailweir.services.stream.producer import KafkaSink

TRACE = "0af7651916cd43dd8448eb211c80319c"
FRAME = 1_024  # what a record batch adds to a record, generously


def _record(*headers: tuple[str, bytes], key: bytes = b"sales", topic: str = "mail.raw") -> Record:
    return Record(topic, 0, 7, key, b"x", headers, 0)


def test_the_producer_waits_for_all_copies_and_writes_none_twice() -> None:
    """Anything less loses confirmed records in a failover, or repeats them in a retry."""
    options = KafkaSink(settings())._options()
    assert (options["acks"], options["enable_idempotence"]) == ("all", True)


def test_a_result_fits_up_to_the_limit_with_its_frame_and_not_beyond() -> None:
    """The broker counts the batch around a record too: a byte above what leaves room for it is a dead letter."""
    writer = Writer("ingest", "mail")

    def made(body: int) -> tuple[int, bool]:
        email = Email(email_id="ab" * 32, mailbox="sales", body="x" * body)
        outgoing = writer.result(_record(), PARSED, email, 1)
        return outgoing.size, writer.is_dead(outgoing)

    size, _ = made(0)
    room = PARSED.max_record_bytes - FRAME - size
    assert made(room) == (PARSED.max_record_bytes - FRAME, False)
    assert made(room + 1)[1]


def test_whatever_mail_raw_takes_fits_the_dead_letters_with_its_cause() -> None:
    """The largest record, its own headers and the longest cause: more than a kilobyte above the limit of mail.raw."""
    letter = Writer("classify", "mail").dead_letter(
        _record(("content-type", b"message/rfc822")), MalformedJson("ş" * 2_000), 9
    )
    assert DEAD.max_record_bytes >= RAW.max_record_bytes + letter.size + FRAME
    assert RAW.max_record_bytes > MAX_MAIL_BYTES + FRAME


@pytest.mark.parametrize(
    ("record", "trace"),
    [
        (_record(("traceparent", f"00-{TRACE}-b7ad6b7169203331-01".encode())), TRACE),
        (_record(key=b"ab" * 32, topic="mail.parsed"), "ab" * 16),  # the key of a parsed mail is its id
    ],
)
def test_a_dead_letter_continues_the_trace(record: Record, trace: str) -> None:
    """That of the record, or the one that follows from the email id."""
    letter = Writer("classify", "mail").dead_letter(record, MalformedJson("no"), 1)
    assert DeadLetter.from_headers(letter.headers).trace_id == trace


def test_a_ratio_of_one_switches_the_breaker_off() -> None:
    """As its message promises: nothing but rejects is no reason to stop then."""
    breaker = RejectBreaker("ingest", window=200, ratio_max=1.0)
    for _ in range(10):
        breaker.count(["not_a_mail"] * 100)
