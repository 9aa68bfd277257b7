"""What an owner did with a mail, by the rules; folders by their names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailweir.models.training.data import Judged, Mail, judge, place_of
from mailweir.models.training.data.folders import folder_kind
from mailweir.services.cli.history import author_of, folder_of

MORNING = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def received(folder: str | None = "", flags: str | None = "S", **fields: object) -> Mail:
    people = frozenset({"ann@far.example", "team@far.example"})
    made = {
        "key": "k",
        "message_id": "m1",
        "parent": None,
        "people": people,
        "recipients": frozenset({"team@far.example"}),
    }
    return Mail(**{**made, "sent": False, "date": MORNING, "place": place_of(folder, flags), **fields})  # type: ignore[arg-type]


def sent(after: timedelta | None, *to: str, folder: str = ".Sent", **fields: object) -> Mail:
    people, date = frozenset(to), None if after is None else MORNING + after
    made = {"key": "s", "message_id": "m2", "parent": "m1", "people": people, "recipients": people, "sent": True}
    return Mail(**{**made, "date": date, "place": place_of(folder, "S"), **fields})  # type: ignore[arg-type]


OTHER = sent(HOUR, "bob@far.example", parent="elsewhere")
"""Shows that this history holds what its owner sent."""


def action(*mails: Mail) -> str | None:
    return judge(mails)["k"].action


@pytest.mark.parametrize(
    ("after", "wanted"),
    [
        (timedelta(minutes=-3), "reply_now"),  # two clocks
        (timedelta(minutes=59), "reply_now"),
        (timedelta(minutes=61), "reply_later"),
        (timedelta(days=13), "reply_later"),
        (timedelta(days=15), None),
        (timedelta(hours=-2), None),
        (None, None),
    ],
)
def test_an_answer_counts_by_its_time(after: timedelta | None, wanted: str | None) -> None:
    """Within the hour, within two weeks; later, before the mail, or without a date it is not known which."""
    assert action(received(), sent(after, "ann@far.example")) == wanted


def test_an_answered_mail_is_neither_filed_nor_thrown_away() -> None:
    """That it was answered outweighs where it lies, also where it is not known when."""
    assert action(received(".Trash"), sent(HOUR, "ann@far.example")) == "reply_now"
    assert action(received(".Archive", "RS"), OTHER) is None
    assert action(received(".Archive"), sent(timedelta(days=40), "ann@far.example")) is None


def test_what_was_sent_on_to_others_is_forwarded() -> None:
    """Not back to anybody of the mail; a mark of the program says it as well."""
    assert action(received(), sent(HOUR, "bob@far.example")) == "forward"
    assert action(received(), sent(HOUR, "team@far.example")) == "reply_now"
    assert action(received(flags="PS")) == "forward"
    assert action(received(flags="PRS")) is None
    assert action(received(), sent(HOUR)) is None


def test_what_was_done_first_counts() -> None:
    """Passed on in the morning and answered in the afternoon: the mail was for somebody else."""
    on, answer = sent(HOUR, "bob@far.example"), sent(4 * HOUR, "ann@far.example")
    undated = sent(None, "ann@far.example")
    assert action(received(), answer, on) == "forward"
    assert action(received(), undated, on) == "forward"


def test_a_draft_is_no_answer() -> None:
    """It was not sent."""
    assert action(received(), sent(HOUR, "ann@far.example", folder=".Drafts"), OTHER) is None


@pytest.mark.parametrize(
    ("folder", "flags", "wanted"),
    [
        (".Archive.2024", "S", "archive"),
        (".Archive.2024", "", None),  # a filter may have filed it
        ("Archives/2024", None, "archive"),
        (".Trash", "S", "delete"),
        ("", "ST", "delete"),
        ("", "S", None),
        (".Junk", "S", None),
        (None, None, None),
    ],
)
def test_where_it_lies_counts_where_nothing_was_sent(folder: str | None, flags: str | None, wanted: str | None) -> None:
    """Filed and read, thrown away; in the inbox, unread, as junk or in a file without a name it is not known."""
    assert action(received(folder, flags), OTHER) == wanted


def test_without_sent_mail_nothing_is_filed_or_thrown_away() -> None:
    """An answer would not be seen; a mark of an answer anywhere shows that it would be."""
    assert action(received(".Archive")) is None
    assert action(received(".Archive"), received(key="k2", message_id="m9", flags="RS")) == "archive"
    assert action(received(".Archive", message_id=None), OTHER) is None


def test_copies_are_one_mail() -> None:
    """Kept in one folder and thrown away from another: it was kept."""
    found = judge([received(".Trash"), received(".Archive"), OTHER])
    assert found == {"k": Judged("archive", "filed")}


def test_sent_mail_is_not_judged() -> None:
    """Neither the owner's nor what lies among it."""
    assert judge([OTHER, received(".Sent", key="x"), received(".Drafts", key="y")]) == {}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("", "inbox"),
        ("INBOX", "inbox"),
        (".Sent", "sent"),
        ("INBOX.Sent Items", "sent"),
        ("Sent.mbox", "sent"),
        (".G&APY-nderilmi&AV8- &ANY-&AR8-eler", "sent"),  # as IMAP servers write it
        ("Papierkorb", "trash"),
        ("Trash.sbd/2024", "trash"),
        (".Önemsiz", "junk"),
        ("[Gmail]/All Mail", "unknown"),
        (".Projects.roof", "filed"),
        ("Archives.sbd/2024", "filed"),
        ("R&D", "filed"),
        ("&bad-", "filed"),
        (None, "unknown"),
    ],
)
def test_a_folder_is_known_by_its_name(name: str | None, kind: str) -> None:
    """In five languages, with Maildir++'s dots, Thunderbird's endings, and IMAP's letters."""
    assert folder_kind(name) == kind


@pytest.mark.parametrize(
    ("origin", "found"),
    [
        ("box/cur/1.host:2,RS", ("", "RS")),
        ("box/new/1.host", ("", "")),
        ("box/.Archive.x/cur/1.host!2,S", (".Archive.x", "S")),
        ("box/Sent#12", ("Sent", None)),
        ("box/old/a.eml", ("old", None)),
        ("box", (None, None)),
        ("box#1", (None, None)),
    ],
)
def test_folder_and_flags_are_in_the_name_of_a_file(origin: str, found: tuple[str | None, str | None]) -> None:
    """Below what the user named; a single file tells nothing."""
    assert folder_of(origin, Path("box")) == found


def test_an_owner_has_one_opaque_name() -> None:
    """Whatever the case; nothing of the address is in it."""
    assert author_of("Me@Home.example") == author_of("me@home.example") != author_of("you@home.example")
    assert "me" not in author_of("me@home.example").removeprefix("owner-")
