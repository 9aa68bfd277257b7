"""`mailweir data label-history`: a Maildir and an mbox, written here, to rows of the corpus."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from command import mailweir

from mailweir.models.training.corpus import MailRow, read_mail

ME = "me@home.example"
SECRET = "the spare key lies below the third flowerpot"


def mail(name: str, sender: str, to: str, at: str, parent: str = "", body: str = SECRET) -> bytes:
    head = f"From: {sender}\nTo: {to}\nSubject: roof {name}\nMessage-ID: <{name}@far.example>\nDate: Mon, 2 Mar 2026 {at} +0000\n"
    answer = f"In-Reply-To: <{parent}@far.example>\nReferences: <{parent}@far.example>\n" if parent else ""
    return f"{head}{answer}\n{body}\n".encode()


FROM_ANN = {
    name: mail(name, "Ann <ann@far.example>", ME, "09:00:00") for name in ("one", "two", "three", "four", "five", "six")
}
SENT = {
    "now": mail("now", ME, "ann@far.example", "09:20:00", "one"),
    "later": mail("later", f"Me <{ME.upper()}>", "ann@far.example", "15:00:00", "two"),
    "on": mail("on", ME, "roofer@near.example", "10:00:00", "three"),
}
ACTIONS = {
    "one": "reply_now",
    "two": "reply_later",
    "three": "forward",
    "four": "archive",
    "five": "delete",
    "six": None,
}


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    """Inbox, sent mail, an archive and the trash, as a server writes them."""
    box = tmp_path / "Maildir"
    folders = {"one": "", "two": "", "three": "", "four": ".Archive", "five": ".Trash", "six": ""}
    for folder in ("", ".Sent", ".Archive", ".Trash"):
        for part in ("cur", "new", "tmp"):
            (box / folder / part).mkdir(parents=True, exist_ok=True)
    for name, value in FROM_ANN.items():
        (box / folders[name] / "cur" / f"1.{name}:2,S").write_bytes(value)
    for name, value in SENT.items():
        (box / ".Sent" / "cur" / f"2.{name}:2,S").write_bytes(value)
    return box


@pytest.fixture
def mboxes(tmp_path: Path) -> Path:
    """The same as files of a mail program."""
    folder = tmp_path / "mail"
    folder.mkdir()
    files: Mapping[str, list[bytes]] = {
        "Inbox": [FROM_ANN[name] for name in ("one", "two", "three", "six")],
        "Archives": [FROM_ANN["four"]],
        "Trash": [FROM_ANN["five"]],
        "Sent": list(SENT.values()),
    }
    for name, mails in files.items():
        separated = (b"From - Mon Mar  2 09:14:00 2026\n" + value + b"\n" for value in mails)
        (folder / name).write_bytes(b"".join(separated))
    return folder


def labelled(source: Path, out: Path, *options: str) -> tuple[dict[str, Any], Any]:
    done = mailweir("data", "label-history", source, "--owner", ME, "--out", out, *options)
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    return {row["subject"].removeprefix("roof "): row for row in rows}, done


@pytest.mark.parametrize("kind", ["maildir", "mboxes"])
def test_what_the_owner_did_is_the_action(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Each received mail is a row, its action by what followed; every other label is unknown."""
    rows, done = labelled(request.getfixturevalue(kind), tmp_path / "mine.jsonl")
    assert {name: row["labels"]["action"] for name, row in rows.items()} == ACTIONS
    assert {value for row in rows.values() for head, value in row["labels"].items() if head != "action"} == {None}
    assert done.out.startswith(f"6 received mails written to {tmp_path / 'mine.jsonl'}, the action of 5 is known\n")
    assert "        1 reply_now    answered within the hour\n" in done.out
    assert "        1 unknown      left where it arrived\n" in done.out


def test_a_row_is_one_of_the_corpus(maildir: Path, tmp_path: Path) -> None:
    """It reads as an annotated mail whose entities nobody looked for; its author is one opaque name."""
    rows, _ = labelled(maildir, tmp_path / "mine.jsonl", "--mailbox", "sales")
    read = [read_mail(json.dumps(row).encode()) for row in rows.values()]
    assert [problems for _, problems in read] == [[]] * len(rows)
    found = [row for row, _ in read if isinstance(row, MailRow)]
    assert {row.marks for row in found} == {None}
    assert {row.mailbox for row in found} == {"sales"}
    assert len({row.author for row in found}) == 1
    assert found[0].body.strip() == SECRET
    assert ME not in found[0].author
    assert len({row.id for row in found}) == len(found)


def test_no_text_of_a_mail_is_told(maildir: Path, tmp_path: Path) -> None:
    """Neither on standard output nor beside it, also where a mail cannot be read."""
    (maildir / "cur" / "3.bad:2,S").write_bytes(SECRET.encode())
    _, done = labelled(maildir, tmp_path / "mine.jsonl")
    assert "1 mails could not be read and were left out" in done.err
    assert "flowerpot" not in done.out + done.err
    assert "ann@" not in done.out + done.err


def test_sent_mail_of_an_address_that_was_not_named_is_said(maildir: Path, tmp_path: Path) -> None:
    """Without it answers would be overlooked."""
    (maildir / ".Sent" / "cur" / "2.old:2,S").write_bytes(
        mail("old", "me@work.example", "ann@far.example", "09:30:00", "six")
    )
    rows, done = labelled(maildir, tmp_path / "mine.jsonl")
    assert "1 mails in a folder of sent mail are by other addresses: name these with --owner too" in done.err
    assert rows["six"]["labels"]["action"] is None
    again, _ = labelled(maildir, tmp_path / "mine.jsonl", "--owner", "me@work.example")
    assert again["six"]["labels"]["action"] == "reply_now"
    assert again["six"]["author"] == rows["six"]["author"]


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A path that is not there, one without mail, an address that is none, a folder that is not there: 2 and one line."""
    (tmp_path / "empty").mkdir()
    out = tmp_path / "mine.jsonl"
    for arguments, message in (
        ((tmp_path / "none", "--owner", ME, "--out", out), f"{tmp_path / 'none'}: no such file or folder"),
        ((tmp_path / "empty", "--owner", ME, "--out", out), "no mail found there"),
        ((tmp_path / "empty", "--owner", "me", "--out", out), "--owner me: no address"),
    ):
        done = mailweir("data", "label-history", *arguments)
        assert done.code == 2
        assert message in done.err
    box = tmp_path / "box.mbox"
    box.write_bytes(b"From - Mon Mar  2 09:14:00 2026\n" + FROM_ANN["one"])
    done = mailweir("data", "label-history", box, "--owner", ME, "--out", tmp_path / "no" / "mine.jsonl")
    assert done.code == 2
    assert f"{tmp_path / 'no' / 'mine.jsonl'}" in done.err
    assert not out.exists()


def test_the_mailbox_itself_is_never_replaced(tmp_path: Path) -> None:
    """Neither by its name nor as one of a folder's files; the mail is still there afterwards."""
    box = tmp_path / "box.mbox"
    box.write_bytes(b"From - Mon Mar  2 09:14:00 2026\n" + FROM_ANN["one"])
    before = box.read_bytes()
    for path in (box, tmp_path):
        done = mailweir("data", "label-history", path, "--owner", ME, "--out", box)
        assert done.code == 2
        assert done.err == f"mailweir: --out {box} is read from and would be lost: name another file\n"
    assert box.read_bytes() == before
