"""`mailweir data`: what a person reads, what a script gets, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from command import mailweir

LABELS: dict[str, Any] = {
    "category": "work",
    "intent": "order_status",
    "action": "reply_later",
    "priority": "normal",
    "workflow_state": "progress",
    "next_actions": ["track_shipment"],
}
TEXT = (
    "Good morning, the pallets for our Ghent site were promised for last week and nobody at the gate has seen them yet"
)
OTHER = "Could you tell me which of the two crates holds the spare hinges, since the list that came along names neither"


def row(row_id: str, body: str, **fields: Any) -> dict[str, Any]:
    made = {"id": row_id, "author": row_id.partition("-")[0], "language": "en", "subject": "", "from": "a@example.org"}
    rest = {"to": ["sales@example.com"], "date": "2026-03-02T09:14:00+00:00", "mailbox": "sales", "entities": []}
    return made | rest | {"body": body, "labels": LABELS} | fields


def rows(file: Path, *given: dict[str, Any]) -> Path:
    file.write_text("".join(json.dumps(one) + "\n" for one in given), encoding="utf-8")
    return file


@pytest.fixture
def leaking(tmp_path: Path) -> Path:
    """A mail of a test author, and the same in training with another label; the name tries to be markup."""
    copied = row("ann-<b>1", TEXT + " either", labels=LABELS | {"priority": "high"})
    return rows(tmp_path / "rows.jsonl", row("iris-1", TEXT), copied, row("ann-2", OTHER))


def test_sound_rows_end_with_0(tmp_path: Path) -> None:
    """A short report that says so."""
    done = mailweir("data", "check", rows(tmp_path / "rows.jsonl", row("ann-1", TEXT), row("iris-1", OTHER)))
    assert done.code == 0
    assert done.out.startswith("2 mails by 2 authors, and 0 tasks\n")
    assert "\n0 leak between training, validation and test\n" in done.out
    assert done.out.endswith("\nsound\n")


def test_reference_summaries_beside_the_rows_are_checked(tmp_path: Path) -> None:
    """Their number is told; one that quotes what is not in its mail breaks the guide, and the line and remedy are named."""
    rows(tmp_path / "rows.jsonl", row("ann-1", TEXT), row("iris-1", OTHER))
    made = {"id": "ann-1", "summary": "Pallets for Ghent are late.", "summary_sentences": [TEXT], "action_items": []}
    rows(tmp_path / "summaries.jsonl", made)
    done = mailweir("data", "check", tmp_path)
    assert done.code == 0
    assert done.out.startswith("2 mails by 2 authors, and 0 tasks; 1 reference summaries\n")
    rows(tmp_path / "summaries.jsonl", made, made | {"id": "iris-1"})
    done = mailweir("data", "check", tmp_path)
    assert done.code == 1
    assert "1 break the guide\n  iris-1 summaries.jsonl:2: summary_sentences:" in done.out
    assert "is not in the mail: copy the sentence exactly" in done.out


def test_a_leak_ends_with_1_and_names_both_rows(leaking: Path) -> None:
    """Each kind of finding has its line."""
    done = mailweir("data", "check", leaking)
    assert done.code == 1
    assert "\n1 leak between training, validation and test\n  iris-1 and ann-<b>1: 0.95; test and training" in done.out
    assert "\n1 near-duplicates with different labels\n" in done.out
    assert "differ in priority" in done.out
    assert "not sound" in done.out


def test_a_broken_row_ends_with_1_and_has_its_line(tmp_path: Path) -> None:
    """Unlike training, the check goes on after it."""
    broken = row("ann-1", TEXT, labels=LABELS | {"category": "misc"})
    done = mailweir("data", "check", rows(tmp_path / "rows.jsonl", row("ann-2", OTHER), broken))
    assert done.code == 1
    assert "\n1 break the guide\n  ann-1 rows.jsonl:2: category has no label 'misc'" in done.out


def test_scripts_get_everything(leaking: Path) -> None:
    """One JSON object."""
    done = mailweir("data", "check", leaking.parent, "--json")
    [found] = done.rows()
    assert done.code == 1
    assert (found["sound"], found["mails"], found["breaks"]) == (False, 3, [])
    assert found["leaks"] == found["conflicts"] == [["iris-1", "ann-<b>1"]]
    assert found["twins"][0]["sides"] == ["test", "training"]
    assert found["labels"]["intent"]["order_status"] == {"en": 3}


@pytest.mark.parametrize("content", [None, "", "\n\n"], ids=["missing", "empty", "blank"])
def test_where_no_rows_are_the_path_is_named(tmp_path: Path, content: str | None) -> None:
    """Exit code 2 and one line."""
    file = tmp_path / "none.jsonl"
    if content is not None:
        file.write_text(content)
    done = mailweir("data", "check", file)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"mailweir: {file}")


def test_agreement_is_told_head_by_head(tmp_path: Path) -> None:
    """Kappa, entities, and each disagreement with both answers; rows of one side only are counted."""
    first = rows(tmp_path / "1.jsonl", row("a-1", TEXT), row("a-2", OTHER), row("a-3", OTHER))
    lower: dict[str, Any] = {"id": "a-2", "labels": LABELS | {"priority": "low"}}
    unsure = {"id": "a-1", "labels": LABELS | {"action": None}}
    second = rows(tmp_path / "2.jsonl", unsure, lower | {"labels": lower["labels"] | {"action": None}})
    done = mailweir("data", "agreement", first, second)
    assert done.code == 0
    cells = {line.split()[0]: line.split()[1:] for line in done.out.splitlines() if line and line[0] != " "}
    assert cells["priority"] == ["2", "50.0%", "0.000"]
    assert cells["category"] == ["2", "100.0%", "-"]
    assert cells["action"] == ["0", "-", "-"]
    assert "  a-2 priority: normal | low\n" in done.out
    assert done.err == "mailweir: 1 rows are in one of the two only and were left out\n"
    [found] = mailweir("data", "agreement", first, second, "--json").rows()
    assert found["disagreements"] == [{"id": "a-2", "head": "priority", "first": "normal", "second": "low"}]


def test_the_page_holds_all_and_needs_nothing_else(leaking: Path, tmp_path: Path) -> None:
    """Pictures are in it, text from rows is escaped, nothing is fetched."""
    pytest.importorskip("matplotlib")
    done = mailweir("data", "report", leaking, "--out", tmp_path / "page")
    page = tmp_path / "page" / "index.html"
    assert (done.code, done.out, done.err) == (0, f"{page}\n", "")  # the drawing library warns of an empty picture
    content = page.read_text(encoding="utf-8")
    assert "ann-&lt;b&gt;1" in content
    assert "ann-<b>1" not in content
    pictures = ["<svg" + part.partition("</svg>")[0] + "</svg>" for part in content.split("<svg")[1:]]
    assert len(pictures) == 10  # five heads, next actions, two meetings, authors, lengths; no entities, no tasks there
    assert "order_status" in "".join(text for picture in pictures for text in ET.fromstring(picture).itertext())
    assert not any(sign in content for sign in ("<script", "<link", "src=", "@import", "url(http"))


def test_the_same_rows_make_the_same_page(leaking: Path, tmp_path: Path) -> None:
    """No date, no random names in it."""
    pytest.importorskip("matplotlib")
    pages = [tmp_path / name for name in ("one", "two")]
    for page in pages:
        assert mailweir("data", "report", leaking, "--out", page).code == 0
    assert len({(page / "index.html").read_bytes() for page in pages}) == 1


def test_a_folder_that_cannot_be_written_is_named_for_the_page(leaking: Path, tmp_path: Path) -> None:
    """A file is in its way."""
    pytest.importorskip("matplotlib")
    (tmp_path / "page").write_text("")
    done = mailweir("data", "report", leaking, "--out", tmp_path / "page")
    assert done.code == 2
    assert str(tmp_path / "page") in done.err


_WITHOUT = "import sys; sys.modules['{}'] = None; sys.argv = ['mailweir', 'data', 'report', '--out', {!r}]; from mailweir.services.cli import main; main()"


@pytest.mark.parametrize("package", ["matplotlib"])
def test_without_its_packages_the_extra_is_named(package: str, tmp_path: Path) -> None:
    """Exit code 2 and what to install."""
    code = _WITHOUT.format(package, str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "pip install 'mailweir[train" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_training_set_is_built_by_recipe(tmp_path: Path) -> None:
    """The file holds every mail and its other forms, and the command says how many of which."""
    given = rows(tmp_path / "rows.jsonl", row("ann-1", TEXT), row("iris-1", OTHER))
    (tmp_path / "recipe.toml").write_text('[augment]\nshare = 1.0\nkinds = ["quoting"]\n')
    done = mailweir("data", "build", tmp_path / "recipe.toml", given, "--out", tmp_path / "set.jsonl")
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == f"3 mails written to {tmp_path / 'set.jsonl'}"
    assert "  1 in another form: quoting 1" in done.out
    made = [json.loads(line) for line in (tmp_path / "set.jsonl").read_text().splitlines()]
    assert [one["id"] for one in made] == ["ann-1", "ann-1+quoting", "iris-1"]
    assert mailweir("data", "check", tmp_path / "set.jsonl").out.startswith("3 mails by 2 authors")


def test_a_wrong_recipe_ends_with_2(tmp_path: Path) -> None:
    """One line with file, key and what there is."""
    given = rows(tmp_path / "rows.jsonl", row("ann-1", TEXT))
    (tmp_path / "recipe.toml").write_text("[augment]\nshare = 1.0\nkind = []\n")
    done = mailweir("data", "build", tmp_path / "recipe.toml", given, "--out", tmp_path / "set.jsonl")
    assert done.code == 2
    assert done.err == (
        f"mailweir: {tmp_path / 'recipe.toml'}: augment.kind: there is no such option: share, kinds are there\n"
    )
    assert not (tmp_path / "set.jsonl").exists()


def test_the_rows_themselves_are_never_replaced(tmp_path: Path) -> None:
    """A set does not take the place of the rows that it is built of."""
    given = rows(tmp_path / "rows.jsonl", row("ann-1", TEXT), row("iris-1", OTHER))
    before = given.read_bytes()
    (tmp_path / "recipe.toml").write_text('[augment]\nkinds = ["quoting"]\nshare = 1\n', encoding="utf-8")
    for source in (given, tmp_path):
        done = mailweir("data", "build", tmp_path / "recipe.toml", source, "--out", given)
        assert done.code == 2
        assert done.err == f"mailweir: --out {given} is read from and would be lost: name another file\n"
    assert given.read_bytes() == before
