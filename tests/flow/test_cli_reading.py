"""What `send` and `classify` find under a path: single mails, mboxes, Maildirs, JSON lines, folders, standard input."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailweir.schemas.errors import InputError
from mailweir.schemas.events import JSON_MAIL, RFC822_MAIL
from mailweir.schemas.topics import MAX_MAIL_BYTES
from mailweir.services.cli.mbox import TooLong, split_lines, split_mbox
from mailweir.services.cli.reading import FoundMail, Skipped, read_mails

MAIL = b"From: a@example.org\nSubject: one\n\nHello.\n"
SEPARATOR = b"From a@example.org Mon Mar  2 09:14:00 2026\n"


def _read(*paths: object, as_is: bool = False) -> list[FoundMail | Skipped]:
    return list(read_mails([str(path) for path in paths], as_is=as_is))


def _found(*paths: object) -> list[FoundMail]:
    items = _read(*paths)
    assert all(isinstance(item, FoundMail) for item in items), items
    return [item for item in items if isinstance(item, FoundMail)]


def _skipped(item: FoundMail | Skipped) -> tuple[str, str]:
    assert isinstance(item, Skipped)
    return item.origin, item.error.code


def test_a_single_mail_is_its_bytes(tmp_path: Path) -> None:
    """Nothing is changed on the way, and the file's name stands for the id that it lacks."""
    path = tmp_path / "one.eml"
    path.write_bytes(MAIL.replace(b"\n", b"\r\n"))
    [mail] = _found(path)
    assert mail.value == path.read_bytes()
    assert (mail.content_type, mail.input_id, mail.mailbox("sales")) == (RFC822_MAIL, str(path), "sales")


def test_an_mbox_is_taken_apart(tmp_path: Path) -> None:
    """Separators go, quoted lines are unquoted, and a body line that only begins like a separator stays."""
    second = b"Subject: two\n\n>From me\nline\n\nFrom what I hear, all is well.\n"
    path = tmp_path / "two.mbox"
    path.write_bytes(SEPARATOR + MAIL + b"\n" + SEPARATOR + second.replace(b">From", b">>From") + b"\n")
    assert [mail.value for mail in _found(path)] == [MAIL, second]
    assert [mail.origin for mail in _found(path)] == [f"{path}#1", f"{path}#2"]


_LINES = st.lists(
    st.sampled_from([b"From a@b.c 09:14", b">From x", b"", b"text", b"Subject: x", b">>From 10:10"]), min_size=1
)


@given(st.lists(_LINES, min_size=1, max_size=5))
def test_whatever_is_written_as_mboxrd_is_read_back(mails: list[list[bytes]]) -> None:
    """Any lines, separators in bodies included."""
    values = [b"\n".join([b"Subject: s", *lines, b"end"]) + b"\n" for lines in mails]
    file = b"".join(SEPARATOR + _quoted(value) + b"\n" for value in values)
    assert list(split_mbox(io.BytesIO(file), 10_000)) == values


def _quoted(value: bytes) -> bytes:
    lines = value.split(b"\n")
    return b"\n".join(b">" + line if line.lstrip(b">").startswith(b"From ") else line for line in lines)


def test_one_mail_above_the_limit_does_not_cost_its_neighbours() -> None:
    """Its size is known, its bytes were not kept, and a line without an end is no new mail."""
    # 3 bytes before 13-byte words: the second piece of 64 KiB begins with a word that looks like a separator
    large = b"Subject: large\n\nTo " + b"From x 10:10 " * 50_000 + b"\n"
    file = SEPARATOR + MAIL + b"\n" + SEPARATOR + large + b"\n" + SEPARATOR + MAIL
    assert list(split_mbox(io.BytesIO(file), 1_000)) == [MAIL, TooLong(len(large) + 1), MAIL]
    assert list(split_lines(io.BytesIO(b"a\n" + b"b" * 200_000 + b"\n\nc"), 1_000)) == [
        b"a",
        TooLong(200_001),
        b"",
        b"c",
    ]


def test_a_maildir_gives_what_was_delivered(tmp_path: Path) -> None:
    """`cur` and `new` of every folder, whatever the names are; nothing half delivered, no index."""
    for folder in ("cur", "new", "tmp", ".Sent/cur", ".Sent/new", ".Sent/tmp"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("cur/1.M1.host:2,S", "new/2.M2.host", ".Sent/cur/3.host:2,", "tmp/4.host", "dovecot.index"):
        (tmp_path / name).write_bytes(MAIL)
    found = [str(Path(mail.origin).relative_to(tmp_path)) for mail in _found(tmp_path)]
    assert found == [".Sent/cur/3.host:2,", "cur/1.M1.host:2,S", "new/2.M2.host"]


def test_a_folder_is_searched_and_unknown_names_are_looked_into(tmp_path: Path) -> None:
    """In sorted order; hidden files are left out, what is nothing of ours is named."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "x.EML").write_bytes(MAIL)
    (tmp_path / "17").write_bytes(MAIL)
    (tmp_path / "archive").write_bytes(SEPARATOR + MAIL)
    (tmp_path / "rows").write_bytes(b' {"id": "r"}\n')
    (tmp_path / "notes.txt").write_bytes(b"nothing to see\n")
    (tmp_path / ".hidden").write_bytes(MAIL)
    items = _read(tmp_path)
    assert [Path(item.origin).name for item in items] == ["17", "archive#1", "x.EML", "notes.txt", "rows:1"]
    assert _skipped(items[3]) == (str(tmp_path / "notes.txt"), "not_a_mail")


def test_rows_become_json_mails(tmp_path: Path) -> None:
    """Known fields are kept, others dropped, empty lines passed over; the row's mailbox comes before the option's."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(
        b'{"id": "a", "subject": "s", "label": "x", "mailbox": "hr"}\n\n{"from": "b@example.org", "to": "c"}\n'
    )
    first, second = _found(path)
    assert (first.content_type, first.input_id, first.mailbox("sales")) == (JSON_MAIL, "a", "hr")
    assert "label" not in orjson.loads(first.value)
    assert (second.origin, second.input_id, second.mailbox("sales")) == (f"{path}:3", None, "sales")


def test_a_row_that_is_no_mail_keeps_its_place_and_its_id(tmp_path: Path) -> None:
    """So that an error can be told to the row that caused it; without an id by file and line."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"id": "a", "body": 7}\nnonsense\n{"id": "c"}\n')
    bad, worse, good = _read(path)
    assert isinstance(bad, Skipped)
    assert (bad.input_id, bad.error.code) == ("a", "invalid_event")
    assert _skipped(worse) == (f"{path}:2", "malformed_json")
    assert isinstance(worse, Skipped)
    assert worse.input_id == f"{path}:2"
    assert isinstance(good, FoundMail)


def test_a_mail_above_the_limit_of_the_topic_is_skipped_with_its_size(tmp_path: Path) -> None:
    """One byte decides."""
    fits, large = tmp_path / "a.eml", tmp_path / "b.eml"
    fits.write_bytes(MAIL.ljust(MAX_MAIL_BYTES, b"x"))
    large.write_bytes(MAIL.ljust(MAX_MAIL_BYTES + 1, b"x"))
    first, second = _read(fits, large)
    assert isinstance(first, FoundMail)
    assert _skipped(second) == (str(large), "too_large")


def test_as_is_takes_any_bytes(tmp_path: Path) -> None:
    """Rejects can be tried: rubbish, nothing at all, and JSON lines as one mail."""
    for name, value in (("a.jsonl", b'{"id": 1}\n{}'), ("b.bin", b"\x00\xff"), ("c.eml", b"")):
        (tmp_path / name).write_bytes(value)
    assert [item.value for item in _read(tmp_path, as_is=True) if isinstance(item, FoundMail)] == [
        b'{"id": 1}\n{}',
        b"\x00\xff",
        b"",
    ]
    assert [_skipped(item)[1] for item in _read(tmp_path / "b.bin", tmp_path / "c.eml")] == ["not_a_mail", "empty"]


def test_a_wrong_path_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    """Also when it is the last one."""
    (tmp_path / "one.eml").write_bytes(MAIL)
    with pytest.raises(InputError, match="nope: no such file or folder"):
        next(iter(read_mails([str(tmp_path / "one.eml"), str(tmp_path / "nope")])))


def test_a_pipe_is_read_as_a_file(tmp_path: Path) -> None:
    """Process substitution of a shell gives such paths; they cannot be read twice."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(SEPARATOR + MAIL,))
    writer.start()
    assert [mail.value for mail in _found(pipe)] == [MAIL]
    writer.join()


def test_a_path_without_a_mail_is_told_beside_the_others(tmp_path: Path) -> None:
    """A file of no rows and an empty folder: neither passes for done."""
    (tmp_path / "one.eml").write_bytes(b"Subject: a\n\nb\n")
    (tmp_path / "none.jsonl").touch()
    (tmp_path / "folder").mkdir()
    found, *others = _read(tmp_path / "one.eml", tmp_path / "none.jsonl", tmp_path / "folder")
    assert isinstance(found, FoundMail)
    assert [_skipped(item) for item in others] == [
        (str(tmp_path / "none.jsonl"), "empty"),
        (str(tmp_path / "folder"), "empty"),
    ]
