"""`mailweir classify`: the whole pipeline in one process, without a broker, on the shipped bundle."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import orjson
import pytest
from command import COMMAND, mailweir

from mailweir.schemas.events import Decision
from mailweir.services.cli.sample_mails import FOLDER

ROWS = [
    {"id": "one", "subject": "PO 4500771203", "from": "a@example.org", "body": "Please book 12 pieces by Friday."},
    {"id": "two", "body": 7},
    {
        "id": "three",
        "subject": "Görüşme",
        "body": "Sizinle saat üçte görüşebilir miyiz, lütfen cevap veriniz.",
        "to": ["b@example.org"],
        "mailbox": "sales",
    },
]


def _lines(*rows: object) -> bytes:
    return b"".join((row if isinstance(row, bytes) else orjson.dumps(row)) + b"\n" for row in rows)


def test_rows_come_out_in_their_order_and_a_rejected_one_keeps_its_line() -> None:
    """Also when batches are smaller than the input, and with exit code 1 for the rejected."""
    done = mailweir("classify", "--json", "--batch-size", 2, "-", stdin=_lines(*ROWS, b"nonsense", ROWS[0]))
    assert done.code == 1
    rows = done.rows()
    assert [row["input_id"] for row in rows] == ["one", "two", "three", "-:4", "one"]
    assert [row.get("error", {}).get("code") for row in rows] == [None, "invalid_event", None, "malformed_json", None]
    assert set(rows[1]) == {"input_id", "error"}
    assert Decision.from_json(rows[2]).language == "tr"
    assert rows[0]["decision_id"] == rows[4]["decision_id"]
    assert "2 rejected" in done.err


def test_a_mail_is_called_by_its_file() -> None:
    """All samples are decided; what ingest rejects keeps its line, with the cause that the dead letter would have."""
    done = mailweir("classify", "--json", "--as-is", FOLDER / "tr", FOLDER / "poison")
    files = [str(path) for folder in ("tr", "poison") for path in sorted((FOLDER / folder).iterdir())]
    assert [row["input_id"] for row in done.rows()] == files
    assert [row["error"]["code"] for row in done.rows() if "error" in row] == ["not_a_mail", "limit_exceeded"]
    assert done.code == 1


def test_people_get_a_table(tmp_path: Path) -> None:
    """A heading, a row with the mail's name, its labels; nothing on a terminal's control, exit code 0."""
    (tmp_path / "a\x1b[2Jb.eml").write_bytes((FOLDER / "en" / "spam-late-uncle.eml").read_bytes())
    done = mailweir("classify", tmp_path)
    heading, row = done.out.splitlines()
    assert heading.split()[:4] == ["mail", "lang", "category", "sure"]
    assert row.split()[:3] == ["a·[2Jb.eml", "en", "spam"]
    assert (done.code, "\x1b" in done.out) == (0, False)


def test_the_mailbox_of_a_mail_makes_its_id() -> None:
    """The option counts where the row names none, and only there."""
    row = {"id": "x", "body": "Hello"}
    ids = [
        mailweir("classify", "--json", "-", *options, stdin=_lines(row | extra)).rows()[0]["email_id"]
        for options, extra in (((), {}), (("--mailbox", "hr"), {}), (("--mailbox", "it"), {"mailbox": "hr"}))
    ]
    assert ids[0] != ids[1] == ids[2]


@pytest.mark.parametrize("options", [["--bundle", "nowhere"], ["nowhere.eml"]])
def test_a_bundle_or_path_that_is_not_there_is_named(options: list[str], tmp_path: Path) -> None:
    """One line, exit code 2, no decision."""
    mail = str(FOLDER / "en" / "spam-late-uncle.eml")
    done = mailweir("classify", "--json", mail, *options)
    assert (done.code, done.out) == (2, "")
    assert "nowhere" in done.err
    assert len(done.err.splitlines()) == 1


def test_rules_decide_first_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    """The rule's label and name come out, under another decision id; an unknown label ends with file, rule and exit code 2."""
    path, row = tmp_path / "rules.toml", _lines(ROWS[0])
    path.write_text('[[rule]]\nname = "orders"\nwhen.pattern = "\\\\d{10}"\nset.priority = "urgent"\n')
    with_rules = mailweir("classify", "--json", "--rules", path, "-", stdin=row).rows()[0]
    without = mailweir("classify", "--json", "-", stdin=row).rows()[0]
    assert with_rules["heads"]["priority"] == {
        "label": "urgent", "probability": 1.0, "abstained": False, "alternatives": []
    }  # fmt: skip
    assert with_rules["reasons"] == {"priority": [{"text": "orders", "weight": 1.0}]}
    assert with_rules["heads"]["intent"] == without["heads"]["intent"]
    assert with_rules["decision_id"] != without["decision_id"]
    path.write_text(path.read_text().replace("urgent", "urgnet"))
    done = mailweir("classify", "--json", "--rules", path, "-", stdin=row)
    assert (done.code, done.out) == (2, "")
    assert str(path) in done.err
    assert "rule 'orders' sets priority: priority has no label 'urgnet'" in done.err


def test_a_person_sees_progress_while_the_answer_goes_into_a_file(tmp_path: Path) -> None:
    """The bar is on the terminal, every line of the answer in the file."""
    terminal, theirs = pty.openpty()
    with (tmp_path / "out.jsonl").open("wb") as out:
        command = [*COMMAND, "classify", "--json", str(FOLDER / "en")]
        done = subprocess.run(command, stdout=out, stderr=theirs, timeout=60, check=False)
    os.close(theirs)
    seen = os.read(terminal, 1 << 16)
    os.close(terminal)
    assert done.returncode == 0
    assert len((tmp_path / "out.jsonl").read_bytes().splitlines()) == 26
    assert b"deciding" in seen
    assert b"decision_id" not in seen


def test_reading_ends_quietly_when_nobody_listens(tmp_path: Path) -> None:
    """`mailweir classify … | head -1` leaves no traceback."""
    line = " ".join(COMMAND) + f" classify --json --batch-size 1 {FOLDER / 'en'} | head -1"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=120, check=False)
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
