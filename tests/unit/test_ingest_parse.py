"""`parse`: limits, rejects, JSON mail, and that no input gets past the error tree."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailweir.schemas.errors import (
    EmptyRecord,
    InvalidEvent,
    LimitExceeded,
    MailTooLarge,
    MalformedJson,
    NotAMail,
    RecordError,
    UnknownContentType,
    UnknownSchemaVersion,
)
from mailweir.schemas.events import Coordinates, Email
from mailweir.services.ingest.limits import ParseLimits, limits_of
from mailweir.services.ingest.notes import Notes
from mailweir.services.ingest.parse import parse
from mailweir.services.ingest.raw import RawMail
from mailweir.services.ingest.tree import parse_tree
from mailweir.services.settings import Settings

LIMITS = ParseLimits()
HEAD = b"From: lena@mill.example\nTo: orders@grain.example\nSubject: s\nDate: Tue, 3 Mar 2026 09:15:00 +0000\n"


def read(value: bytes, limits: ParseLimits = LIMITS, content_type: str | None = None) -> Email:
    return parse(RawMail(value, "orders", content_type), limits)


def nested(levels: int) -> bytes:
    opened = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (level, level) for level in range(levels)
    )
    return HEAD + opened + b"\ndeep inside\n"


@pytest.mark.parametrize("value", [b"", b" \r\n\t\n"])
def test_empty_record_is_refused(value: bytes) -> None:
    """No value and only white space are the same."""
    with pytest.raises(EmptyRecord):
        read(value)


@pytest.mark.parametrize(
    "value",
    [
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n",
        bytes(range(256)) * 4,
        b"Dear Lena,\n\nplease note: two sacks.\n",
        b'{"subject": "json without its content type"}',
        b"HTTP/1.1 404 Not Found\r\nServer: x\r\n\r\n",
        b"Note: this is no header\nPrice: 12\n\ntext\n",
    ],
)
def test_what_is_no_mail_is_refused(value: bytes) -> None:
    """Images, documents, noise and plain text have no field that a mail has."""
    with pytest.raises(NotAMail):
        read(value)


def test_content_types() -> None:
    """None and message/rfc822 with parameters are read, anything else is refused by name."""
    for content_type in (None, "message/rfc822", "Message/RFC822; charset=utf-8"):
        assert read(HEAD + b"\nx", content_type=content_type).body == "x"
    for content_type in ("text/plain", "", "application/octet-stream"):
        with pytest.raises(UnknownContentType):
            read(HEAD + b"\nx", content_type=content_type)


@pytest.mark.parametrize(
    ("limits", "value", "limit"),
    [
        (ParseLimits(max_parts=3), nested(4), "max_parts"),
        (LIMITS, nested(60), "max_nesting"),
        (LIMITS, nested(990), "max_nesting"),
        (LIMITS, nested(2000), "max_nesting"),
        (ParseLimits(max_headers=3), HEAD + b"\nx", "max_headers"),
        (ParseLimits(max_header_bytes=100), HEAD + b"X-Long: " + b"y" * 101 + b"\n\nx", "max_header_bytes"),
    ],
)
def test_limit_names_itself_and_its_setting(limits: ParseLimits, value: bytes, limit: str) -> None:
    """A mail above a limit says which one, how much it has, and which setting allows it."""
    with pytest.raises(LimitExceeded) as caught:
        read(value, limits)
    assert caught.value.detail["limit"] == limit
    assert caught.value.detail["setting"] == f"MAILWEIR_INGEST_{limit.upper()}"
    assert str(caught.value.detail["setting"]) in str(caught.value)


def test_bytes_are_limited_before_anything_is_read() -> None:
    """A mail of one byte too many is refused whatever it holds."""
    limits = ParseLimits(max_bytes=100)
    with pytest.raises(MailTooLarge):
        read(b"x" * 101, limits)
    with pytest.raises(MailTooLarge):
        read(b'{"body": "' + b"x" * 100 + b'"}', limits, "application/json")


def test_nesting_within_the_limit_keeps_its_text() -> None:
    """Fifty levels are deep but allowed."""
    assert read(nested(49)).body == "deep inside"


def test_long_body_is_cut_and_says_so() -> None:
    """A body above the limit keeps its beginning."""
    email = read(HEAD + b"\n" + b"line of text\n" * 100, ParseLimits(max_body_chars=30))
    assert email.body == "line of text\nline of text\nline"
    assert email.truncated
    assert email.warnings == ("body_cut",)


def test_long_html_is_cut_and_says_so() -> None:
    """The same for HTML, which is not walked to its end."""
    page = b"Content-Type: text/html\n\n" + b"<p>line of text</p>" * 1000
    email = read(HEAD + page, ParseLimits(max_body_chars=30))
    assert email.body == "line of text\n\nline of text\n\nli"
    assert email.truncated


def test_long_fields_are_cut_and_say_so() -> None:
    """Thousands of recipients or references must fit onto the next topic."""
    head = b"From: a@x.example\nTo: " + b"b@x.example, " * 1500 + b"\nSubject: " + b"long " * 2000
    email = read(head + b"\nReferences: " + b"<r@x.example> " * 500 + b"\n\nx")
    assert (len(email.to), len(email.subject), len(email.references)) == (1000, 4096, 200)
    assert {"recipients_cut", "subject_cut", "ids_cut"} <= set(email.warnings)


def test_worst_mail_fits_onto_the_next_topic() -> None:
    """The largest Email that the limits let through is below the record size of mail.parsed."""
    people = b", ".join(b'"%s" <a@%s.example>' % ("ş".encode() * 240, b"d" * 60) for _ in range(450))
    head = b"".join(b"%s: %s\n" % (name, people) for name in (b"From", b"To", b"Cc", b"Reply-To"))
    references = b"<" + b"r" * 990 + b"@x.example> "
    body = ("> ş\nş\n" * 60_000).encode()
    email = read(head + b"References: " + references * 250 + b"\nContent-Type: text/plain; charset=utf-8\n\n" + body)
    assert len(email.encode()) < 4 * 1024 * 1024


def test_dates_ahead_are_judged_by_arrival() -> None:
    """A date two years ahead of its arrival is absurd, one of the same year is not."""
    arrival = datetime(2024, 3, 1, tzinfo=UTC)
    email = parse(RawMail(HEAD + b"\nx", received_at=arrival), LIMITS)
    assert email.date is None
    assert email.warnings == ("date_absurd",)
    assert parse(RawMail(HEAD + b"\nx", received_at=arrival.replace(year=2026)), LIMITS).date is not None


@pytest.mark.parametrize(
    ("date", "expected", "warnings"),
    [
        ("Tue, 3 Mar 2026 09:15:00 -0500", "2026-03-03T14:15:00+00:00", ()),
        ("3 Mar 26 09:15 EST", "2026-03-03T14:15:00+00:00", ()),
        ("Tue, 3 Mar 2026 09:15:00 -0000", "2026-03-03T09:15:00+00:00", ()),
        ("2026-03-03T09:15:00Z", "2026-03-03T09:15:00+00:00", ()),
        ("Tue, 3 Mar 2026 09:15:00", "2026-03-03T09:15:00+00:00", ("date_without_zone",)),
        ("0001-01-01T00:00:00+12:00", None, ("date_absurd",)),
        ("Tue, 33 Mar 2026 29:15:00 +0000", None, ("date_unreadable",)),
        ("", None, ("date_missing",)),
    ],
)
def test_dates(date: str, expected: str | None, warnings: tuple[str, ...]) -> None:
    """Obsolete zones, two-digit years and RFC 3339 are read; what cannot be is null with the reason."""
    email = read(f"From: a@b.example\nDate: {date}\n\nx".encode())
    assert (email.date.isoformat() if email.date else None) == expected
    assert email.warnings == warnings


def test_source_and_arrival_pass_through() -> None:
    """Where the raw mail lies and when it came are in the Email."""
    arrival, source = datetime(2026, 3, 3, 10, tzinfo=UTC), Coordinates(topic="mail.raw", partition=2, offset=7)
    email = parse(RawMail(HEAD + b"\nx", "orders", None, source, arrival), LIMITS)
    assert (email.mailbox, email.source, email.received_at) == ("orders", source, arrival)


def test_parts_that_the_parser_cannot_take_apart_are_text() -> None:
    """A parameter on which the standard library fails costs the structure, not the text."""
    email = read(HEAD + b"Content-Type: multipart/mixed; boundary*" + b"9" * 5000 + b"=x\n\n--x\n\nstill here\n--x--\n")
    assert "still here" in email.body


def test_unreadable_tree_is_noted() -> None:
    """The fallback for what the standard library raises on leaves a note and the headers."""
    notes = Notes()
    tree = parse_tree(HEAD + b"Content-Type: multipart/mixed; boundary*" + b"9" * 5000 + b"=x\n\ntext\n", LIMITS, notes)
    assert tree["subject"] == "s"
    assert notes.codes() == ("part_unreadable",)


def test_json_mail() -> None:
    """A JSON mail gives the same fields, its own id comes back, the record's key stands in for the mailbox."""
    mail = {
        "id": "row-7",
        "subject": "Two\nsacks",
        "from": "Lena Vogt <lena@MILL.example>",
        "to": ["orders@grain.example", "Dock <dock@grain.example>"],
        "date": "2026-03-03T09:15:00+01:00",
        "body": "Please send two sacks.\r\n\r\n-- \r\nLena",
        "extra": "ignored",
    }
    email = read(orjson.dumps(mail), content_type="application/json")
    assert (email.input_id, email.mailbox, email.subject) == ("row-7", "orders", "Two sacks")
    assert (email.sender.name, email.sender.address) == ("Lena Vogt", "lena@mill.example")
    assert [address.address for address in email.to] == ["orders@grain.example", "dock@grain.example"]
    assert email.date is not None
    assert email.date.isoformat() == "2026-03-03T08:15:00+00:00"
    assert email.body == "Please send two sacks.\n\n--\nLena"
    assert [zone.kind for zone in email.zones] == ["new", "signature"]
    assert email.warnings == ()
    named = read(orjson.dumps(mail | {"mailbox": "sales"}), content_type="application/json")
    assert named.mailbox == "sales"
    assert named.email_id != email.email_id


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (b"{", MalformedJson),
        (b'{"body": "\xff"}', MalformedJson),
        (b'{"body": "\\ud800"}', MalformedJson),
        (b"[]", InvalidEvent),
        (b'{"to": 7}', InvalidEvent),
        (b'{"schema": 99}', UnknownSchemaVersion),
    ],
)
def test_wrong_json_is_refused(value: bytes, error: type[RecordError]) -> None:
    """What is not JSON, not a mail, or newer than this software is named."""
    with pytest.raises(error):
        read(value, content_type="application/json")


def test_email_id_ignores_the_way_a_mail_took() -> None:
    """The same mail fetched twice has one id; another mailbox makes it another."""
    one = read(HEAD + b"\nx")
    two = read(b"Received: from relay\n" + HEAD.replace(b"\n", b"\r\n") + b"\r\nx\r\n")
    assert one.email_id == two.email_id
    assert parse(RawMail(HEAD + b"\nx", "sales"), LIMITS).email_id != one.email_id


def test_limits_come_from_the_settings() -> None:
    """Every limit is a setting with the same default, and a changed one arrives."""
    assert limits_of(Settings()) == ParseLimits()
    changed = limits_of(Settings(ingest_max_parts=7, ingest_trusted_hosts=("mx",)))
    assert (changed.max_parts, changed.trusted_hosts) == (7, ("mx",))


_FIELDS = st.sampled_from(
    [
        b"From: ", b"To: ", b"Subject: ", b"Date: ", b"Content-Type: ", b"Content-Transfer-Encoding: ", b"=?utf-8?q?",
        b"multipart/mixed; boundary=x", b"text/html; charset=", b"base64", b"quoted-printable", b"message/rfc822",
        b"\n", b"\r\n", b"\n\n", b"--x\n", b"--x--\n", b"<p>", b"<td>", b"<blockquote type=cite>", b"</", b"=?", b"?=",
        b"filename*0*=", b"; ", b'"', b"(", b"<a@b>", b"BEGIN:VEVENT\n", b"text/calendar", b"\xff\xfe", b"+2AA-",
        b"application/pkcs7-mime", b"x-uuencode", b"utf-7", b"message/delivery-status", b"multipart/alternative",
    ]
)  # fmt: skip


def _survives(value: bytes, content_type: str | None) -> None:
    try:
        email = read(value, content_type=content_type)
    except RecordError:
        return
    assert Email.decode(email.encode()) == email
    assert "".join(email.body[zone.start : zone.end] for zone in email.zones) == email.body


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=2000), st.sampled_from([None, "message/rfc822", "application/json"]))
def test_arbitrary_bytes_raise_nothing_but_record_errors(value: bytes, content_type: str | None) -> None:
    """Whatever the bytes, the result is an Email that survives its JSON, or an error for a dead letter."""
    _survives(value, content_type)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.one_of(_FIELDS, st.binary(max_size=12)), max_size=40))
def test_hostile_mail_raises_nothing_but_record_errors(pieces: list[bytes]) -> None:
    """The same for bytes that look like mail."""
    _survives(b"From: a@b.example\n" + b"".join(pieces), None)
