"""Ids: the same thing twice is recognisably the same, and two things never are."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailweir.schemas.events import Feedback, RawEmail
from mailweir.schemas.ids import canonical_message, decision_id, digest, email_id, trace_id

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"
HEAD = "Subject: Order 1\nFrom: ayse@example.org\nReferences: <1@example.org>\n <2@example.org>"
BODY = "Please ship.\n\nFrom here on it is urgent.\n"
MAIL = f"{HEAD}\n\n{BODY}".encode()
RELAYED = (
    b"Received: from mx.example.net\n\tby mail.example.com; Mon, 2 Mar 2026 09:13:58 +0000\nReturn-Path: <a@example.org>\n"
    b"Delivered-To: sales@example.com\nX-Gmail-Labels: Inbox\nStatus: RO\n"
)


def test_ids_of_version_one_never_change() -> None:
    """The ids that the golden mail got are the ids it gets for ever: stored decisions hang on them."""
    known = json.loads((GOLDEN / "ids.json").read_text())
    message = (GOLDEN / "raw-mail.eml").read_bytes()
    assert b"\r\n" in message
    assert email_id(known["mailbox"], message) == known["email_id"]
    assert decision_id(known["email_id"], known["model"], known["taxonomy"], known["policy"]) == known["decision_id"]
    assert trace_id(known["email_id"]) == known["trace_id"]
    assert json.loads((GOLDEN / "decision.json").read_text())["decision_id"] == known["decision_id"]


@pytest.mark.parametrize(
    "again",
    [
        MAIL.replace(b"\n", b"\r\n"),
        MAIL.replace(b"\n", b"\r"),
        b"From ayse@example.org Mon Mar  2 09:13:58 2026\n" + MAIL,
        b"\n\n" + MAIL,
        MAIL + b"\n\r\n",
        MAIL.rstrip(b"\n"),
        RELAYED + MAIL,
        RELAYED.upper() + MAIL,
        MAIL.replace(b"\n\n", b"\nX-Mozilla-Status: 0001\nX-UID: 9\n\n", 1),
    ],
    ids=[
        "crlf",
        "cr",
        "mbox",
        "blank-before",
        "blank-after",
        "no-end",
        "relayed",
        "upper-case-relays",
        "mailbox-marks",
    ],
)
def test_the_same_mail_another_way_has_the_same_id(again: bytes) -> None:
    """Line ends, the mbox separator, relays' and mailboxes' own header fields do not make another mail."""
    assert email_id("sales", again) == email_id("sales", MAIL)


@pytest.mark.parametrize(
    ("mailbox", "other"),
    [
        ("support", MAIL),
        ("Sales", MAIL),
        ("sales", MAIL.replace(b"Order 1", b"Order 2")),
        ("sales", MAIL.replace(b"urgent", b"Urgent")),
        ("sales", MAIL.replace(b"Subject: Order 1\n", b"")),
        ("sales", MAIL.replace(b"\n\n", b"\nX-Priority: 1\n\n", 1)),
        ("sales", MAIL.replace(b"ship.\n\n", b"ship.\n")),
        ("sales", MAIL.replace(b"\nFrom here", b"\nReceived: here")),
    ],
)
def test_another_mail_or_mailbox_has_another_id(mailbox: str, other: bytes) -> None:
    """Mailbox, any other header field and every character of the body count."""
    assert email_id(mailbox, other) != email_id("sales", MAIL)


def test_canonical_form_keeps_the_body_and_folded_fields() -> None:
    """Only header fields are dropped, with their continuation lines; the body is not searched for them."""
    body = "Received: one parcel\n\nReturn-Path: none\n"
    message = b"Received: a\n\tb\n c\n" + HEAD.encode() + b"\n\n" + body.encode()
    assert canonical_message(message) == f"{HEAD}\n\n{body}".rstrip("\n").encode()


@pytest.mark.parametrize("message", [b"", b"\n", b"From \n", b"\r", b"no header at all", b"Subject: only a head"])
def test_odd_messages_have_an_id_too(message: bytes) -> None:
    """What is no mail is refused later; an id it has, and the same one twice."""
    assert re.fullmatch(r"[0-9a-f]{64}", email_id("sales", message))
    assert email_id("sales", message) == email_id("sales", message)


@given(st.binary(max_size=200), st.text(max_size=5))
def test_every_byte_string_has_a_stable_id_over_line_ends(message: bytes, mailbox: str) -> None:
    """LF and CRLF of any bytes are one mail."""
    unix = message.replace(b"\r", b"")
    assert email_id(mailbox, unix) == email_id(mailbox, unix.replace(b"\n", b"\r\n"))


@given(st.binary(max_size=300))
def test_canonical_form_is_its_own_canonical_form_but_for_the_mbox_line(message: bytes) -> None:
    """Doing it twice changes nothing, unless what comes out begins like an mbox line again."""
    once = canonical_message(message)
    if not once.startswith((b"From ", b"\n")):
        assert canonical_message(once) == once


PARTS = ("e" * 64, "email:1.0.0", "email:1", "1")


@pytest.mark.parametrize("place", range(4))
def test_a_decision_id_depends_on_each_of_its_parts(place: int) -> None:
    """Another mail, model, taxonomy or policy makes another decision; the same four make the same."""
    other = [*PARTS]
    other[place] += "1"
    assert decision_id(*PARTS) == decision_id(*PARTS)
    assert decision_id(*other) != decision_id(*PARTS)


@given(
    st.lists(st.lists(st.text(max_size=4) | st.binary(max_size=4), max_size=4), min_size=2, max_size=5, unique_by=repr)
)
def test_no_two_lists_of_parts_share_a_digest(lists: list[list[str | bytes]]) -> None:
    """Lengths go in as well, so that "ab", "c" is not "a", "bc"."""
    for one, other in combinations(lists, 2):
        as_bytes = [[part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part for part in parts] for parts in (one, other)]  # fmt: skip
        assert (digest(*one) == digest(*other)) == (as_bytes[0] == as_bytes[1])


def test_lone_surrogates_do_not_stop_an_id() -> None:
    """Text that is no UTF-8 has an id of its own."""
    assert digest("\ud800") != digest("\udfff")


def test_json_mail_is_the_same_whatever_the_order_of_its_fields() -> None:
    """Order, unknown fields and defaults written out do not make another mail; every field of the contract does."""
    fields = {"id": "1", "subject": "s", "from": "a@example.org", "to": ["b@example.com"], "date": None, "body": "x"}
    one = RawEmail.from_json(fields)
    same = RawEmail.from_json({**dict(reversed(fields.items())), "colour": "red", "mailbox": "", "schema": 1})
    assert one.email_id("sales") == same.email_id("sales")
    assert one.email_id("sales") != one.email_id("support")
    for name, value in {
        "id": "2",
        "subject": "t",
        "from": "c@example.org",
        "to": [],
        "date": "2026-03-02",
        "body": "y",
    }.items():
        assert RawEmail.from_json(fields | {name: value}).email_id("sales") != one.email_id("sales"), name


def test_mailbox_of_json_mail_counts_once() -> None:
    """The id is that of the mailbox it ends up in, whether the record's key or the mail itself names it."""
    keyed, named = RawEmail(body="x"), RawEmail(body="x", mailbox="sales")
    assert keyed.email_id("sales") == named.email_id("sales") == named.event_id


def test_a_feedback_has_one_id_before_and_after_it_was_written() -> None:
    """A clock gives microseconds, the value on the topic has milliseconds: who sent it must know it by the same id."""
    stored = json.loads((GOLDEN / "feedback.json").read_text())
    sent = Feedback.from_json(stored | {"given_at": "2026-03-02T11:00:00.123987Z"})
    assert Feedback.decode(sent.encode()).event_id == sent.event_id
    made = Feedback(**{**dict(sent), "given_at": datetime(2026, 3, 2, 11, 0, 0, 123_987, tzinfo=UTC)})
    assert (made.given_at.microsecond, made.event_id) == (123_000, sent.event_id)


def test_a_feedback_id_tells_words_apart() -> None:
    """Another person, time, decision or withdrawal is another word; the note alone is not."""
    stored = json.loads((GOLDEN / "feedback.json").read_text())
    one = Feedback.from_json(stored).event_id
    assert one == Feedback.from_json(stored | {"note": "seen twice"}).event_id
    others = {"person": "u-18", "given_at": "2026-03-02T11:00:00.001Z", "decision_id": "d" * 64, "withdraws": "e" * 64}
    ids = {Feedback.from_json(stored | {name: value}).event_id for name, value in others.items()}
    assert len(ids | {one}) == 5
