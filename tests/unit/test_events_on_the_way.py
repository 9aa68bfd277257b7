"""Whatever a mail or a dead letter holds survives its way over a topic."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from golden_events import changed, golden
from hypothesis import given
from hypothesis import strategies as st

from mailweir.schemas.errors import (
    InvalidEvent,
    UnknownSchemaVersion,
)
from mailweir.schemas.events import (
    Address,
    Coordinates,
    DeadLetter,
    Email,
    Language,
    Zone,
    original_headers,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
MOMENT = st.datetimes(timezones=st.just(UTC), min_value=datetime(1971, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=moment.microsecond // 1_000 * 1_000)
)
ADDRESS = st.builds(Address, name=TEXT, address=TEXT)
EMAIL = st.builds(
    Email,
    email_id=st.text("0123456789abcdef", min_size=64, max_size=64),
    input_id=st.none() | TEXT,
    mailbox=TEXT,
    source=st.none() | st.builds(Coordinates, topic=TEXT, partition=st.integers(0, 99), offset=st.integers(0, 2**62)),
    references=st.lists(TEXT, max_size=3).map(tuple),
    subject=TEXT,
    sender=ADDRESS,
    to=st.lists(ADDRESS, max_size=3).map(tuple),
    date=st.none() | MOMENT,
    body=TEXT,
    zones=st.lists(st.builds(Zone, kind=st.sampled_from(["new", "quoted"]), start=st.integers(0, 9), end=st.integers(9, 20)),
                   max_size=2).map(tuple),
    language=st.builds(Language, code=st.sampled_from(["en", "tr"]), probability=st.floats(0, 1)),
    parse_ms=st.floats(0, 1e6),
)  # fmt: skip


@given(EMAIL)
def test_an_email_survives_its_way_over_the_topic(email: Email) -> None:
    """Every text and time comes out of JSON as it went in."""
    assert Email.decode(email.encode()) == email


# -- dead letters ----------------------------------------------------------------------------------------------------
LETTER = st.builds(
    DeadLetter,
    source=st.builds(Coordinates, topic=TEXT, partition=st.integers(0, 99), offset=st.integers(0, 2**62)),
    stage=TEXT,
    code=TEXT,
    message=TEXT,
    attempts=st.integers(1, 9),
    trace_id=TEXT,
    rejected_at=MOMENT,
    omitted_bytes=st.integers(0, 2**40),
)
HEADERS = st.lists(st.tuples(st.sampled_from(["content-type", "traceparent", "x-any", "x-any"]), st.binary(max_size=9)), max_size=4)  # fmt: skip


@given(LETTER, HEADERS)
def test_a_dead_letter_survives_in_headers_beside_the_original_ones(
    letter: DeadLetter, own: list[tuple[str, bytes]]
) -> None:
    """The cause is read back whole, and taking it away leaves the record's own headers, repeats and order included."""
    both = [*own, *letter.headers()]
    assert DeadLetter.from_headers(both) == letter
    assert original_headers(both) == own


def test_golden_dead_letter_headers_are_read_and_written_as_they_were() -> None:
    """Version 1's headers, name by name."""
    stored = golden("dead-letter.headers")["headers"]
    headers = [(name, value.encode()) for name, value in stored]
    letter = DeadLetter.from_headers(headers)
    assert letter == DeadLetter.decode(changed("dead_letter"))
    assert [*original_headers(headers), *letter.headers()] == headers
    assert letter.event_id == "mail.raw:5:77:ingest"


def test_headers_that_are_no_dead_letter_are_refused() -> None:
    """A missing header is named; a wrong one is refused."""
    headers = DeadLetter.decode(changed("dead_letter")).headers()
    with pytest.raises(InvalidEvent, match="header mailweir_dead_code is missing"):
        DeadLetter.from_headers([item for item in headers if item[0] != "mailweir_dead_code"])
    with pytest.raises(InvalidEvent, match=r"not a DeadLetter: source\.offset"):
        DeadLetter.from_headers([*headers, ("mailweir_dead_offset", b"minus one")])
    with pytest.raises(InvalidEvent, match="not a dead letter"):
        DeadLetter.from_headers([*headers, ("mailweir_dead_stage", b"\xff\xfe")])


def test_a_dead_letter_of_a_newer_version_is_refused() -> None:
    """Headers follow the same rule as values."""
    headers = [*DeadLetter.decode(changed("dead_letter")).headers(), ("mailweir_dead_schema", b"2")]
    with pytest.raises(UnknownSchemaVersion):
        DeadLetter.from_headers(headers)


def test_a_long_cause_is_cut_for_its_header() -> None:
    """A header is for reading: 2,000 characters of the message are kept."""
    letter = DeadLetter.decode(changed("dead_letter", message="ş" * 5_000))
    assert DeadLetter.from_headers(letter.headers()).message == "ş" * 2_000
