"""`mailweir evaluate` on the shipped bundle: a table, JSON, a page; and what it refuses."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pytest
from command import COMMAND, mailweir

from mailweir.models.evaluation import evaluate, read_examples
from mailweir.models.runtime import Bundle, shipped_bundle
from mailweir.models.runtime.integrity import read_manifest
from mailweir.models.text.perturb import PERTURBATIONS
from mailweir.models.training.corpus import FOLDER, read_mail
from mailweir.models.training.tiny import lead_references
from mailweir.services.cli.report_folder import report_folder

ROWS = 12


def _corpus_rows(name: str, count: int) -> list[Any]:
    with (FOLDER / name).open("rb") as stream:
        return [orjson.loads(line) for line in islice(stream, count)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A handful of annotated mails in two languages, one of them without author."""
    rows = [*_corpus_rows("iris.jsonl", ROWS // 2), *_corpus_rows("oya.jsonl", ROWS // 2)]
    del rows[0]["author"]
    rows[1]["source"] = "archive"
    return _write(tmp_path_factory.mktemp("rows") / "rows.jsonl", *rows)


def _write(path: Path, *rows: object) -> Path:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def test_a_script_gets_one_object(data: Path) -> None:
    """Every head with its slices, entities, times and the worst errors; a mail's text is not in it."""
    done = mailweir("evaluate", data, "--json")
    assert (done.code, done.err) == (0, "")
    (found,) = done.rows()
    assert found["rows"] == ROWS
    assert list(found["heads"]) == ["category", "intent", "action", "priority", "workflow_state", "next_actions"]
    category = found["heads"]["category"]
    whole = category["figures"]["all"]
    assert whole["macro"]["f1"]["low"] <= whole["macro"]["f1"]["value"] <= whole["macro"]["f1"]["high"]
    assert whole["accuracy"] == whole["micro"]["f1"]
    assert sum(map(sum, category["confusion"])) == whole["rows"]
    assert set(category["figures"]["source"]) == {"unknown", "archive", "iris", "oya"}
    assert set(category["figures"]["language"]) == {"en", "tr"}
    assert found["entities"]["exact"]["all"]["micro"]["f1"]["value"] > 0
    assert set(found["latency"]["steps"]) - {"linear"} == {"compose", "tokenize", "model", "entities", "sentences"}
    assert sum(found["tiers"].values()) == ROWS
    bodies = [orjson.loads(line)["body"] for line in data.read_bytes().splitlines()]
    assert not [body for body in bodies if len(body) > 100 and body in done.out]
    assert [error for error in found["worst"] if len(error["first_words"].split()) > 8] == []
    assert [error for error in found["worst"] if error["right"] == error["given"]] == []


def test_the_same_rows_give_the_same_figures(data: Path) -> None:
    """Intervals included; only times differ."""
    bundle = Bundle.load(shipped_bundle())
    examples = read_examples([data], bundle.manifest)
    first, second = (orjson.loads(evaluate(bundle, examples).encode()) for _ in range(2))
    assert first | {"latency": 0} == second | {"latency": 0}


def test_people_get_tables_of_80_columns(data: Path) -> None:
    """On a terminal of that width no line is longer, and none is left out."""
    line = f"stty cols 80; {' '.join(COMMAND)} evaluate {data} 2>/dev/null"
    done = subprocess.run(["script", "-qec", line, "/dev/null"], capture_output=True, timeout=120, check=False)
    assert done.returncode == 0
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", done.stdout.decode()).splitlines()
    assert max(map(len, shown)) <= 80
    starts = [line.split()[0] for line in shown if line.strip()]
    assert {"category", "next_actions", "language", "weakest", "entities", "one"} <= set(starts)


def test_the_report_is_one_page_with_its_pictures(data: Path, tmp_path: Path) -> None:
    """index.html needs no other file: three pictures a head of one, one for next_actions, nothing from elsewhere."""
    pytest.importorskip("matplotlib", reason="the extra report is not installed")
    done = mailweir("evaluate", data, "--report", tmp_path / "report")
    assert done.code == 0
    assert f"report: {tmp_path / 'report' / 'index.html'}" in done.out
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(pictures) == 5 * 3 + 1 + (read_manifest(shipped_bundle()).cheap is not None)
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") for picture in pictures)
    assert re.findall(r"(?:src|href)=\"(?!data:|#)[^\"]*\"|<script|@import|url\(", page) == []
    assert orjson.loads((tmp_path / "report" / "evaluation.json").read_bytes())["rows"] == ROWS


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": {"category": "wrok"}}, "category has no label 'wrok'"),
        (
            {"entities": [{"type": "amount", "text": "7.77 EUR"}]},
            "'7.77 EUR' is neither in the subject nor in the body",
        ),
        ({"title": "x", "description": "y", "label": "Design", "body": None}, "mail row"),
    ],
)
def test_a_broken_row_ends_with_its_line_and_the_remedy(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    """Exit code 2, one line on standard error, no figure of the other rows."""
    good, bad = _corpus_rows("iris.jsonl", 2)
    path = _write(tmp_path / "rows.jsonl", good, bad | change)
    done = mailweir("evaluate", path, "--json")
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith(f"mailweir: {path}:2: ")
    assert said in line
    assert "correct the row" in line


def test_what_is_no_data_is_named(tmp_path: Path) -> None:
    """No JSON, an empty file, no file, rows of tasks for a bundle of mail, no bundle: exit code 2 and a line."""
    (tmp_path / "text.jsonl").write_text("Dear all\n")
    (tmp_path / "empty.jsonl").write_text("")
    task = {"id": "t", "language": "en", "title": "Fix it", "description": "Now", "label": "Development"}
    mail = _write(tmp_path / "mail.jsonl", *_corpus_rows("iris.jsonl", 1))
    for arguments, said in (
        ([tmp_path / "text.jsonl"], f"{tmp_path / 'text.jsonl'}:1: not JSON"),
        ([tmp_path / "empty.jsonl"], "there are no rows"),
        ([tmp_path / "nowhere.jsonl"], "nowhere.jsonl: No such file"),
        ([_write(tmp_path / "tasks.jsonl", task)], "tasks.jsonl:1: this is a task row"),
        ([mail, "--bundle", tmp_path], f"{tmp_path} is no bundle"),
        ([mail, "--report", mail], f"{mail}: File exists"),
    ):
        done = mailweir("evaluate", *arguments)
        assert (done.code, done.out) == (2, "")
        assert said in done.err
        assert len(done.err.splitlines()) == 1


def test_work_that_is_cut_off_leaves_no_empty_folder(data: Path, tmp_path: Path) -> None:
    """An error, or Ctrl-C, between folder and report; a folder that was there stays."""
    with pytest.raises(KeyboardInterrupt), report_folder(tmp_path / "new"):
        raise KeyboardInterrupt
    assert not (tmp_path / "new").exists()
    with report_folder(tmp_path):
        pass
    assert tmp_path.is_dir()
    refused = mailweir("evaluate", tmp_path / "none.jsonl", "--report", tmp_path / "report")
    assert refused.code == 2
    assert not (tmp_path / "report").exists()


_WITHOUT = "import sys; sys.modules['matplotlib'] = None; sys.argv = ['mailweir', 'evaluate', {!r}, '--report', {!r}]; from mailweir.services.cli import main; main()"


def test_a_report_without_matplotlib_names_the_extra(data: Path, tmp_path: Path) -> None:
    """Before any mail is answered, and without leaving a folder behind."""
    code = _WITHOUT.format(str(data), str(tmp_path / "report"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'mailweir[report]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "report").exists()


def test_robustness_tells_what_each_way_of_writing_costs(data: Path, tmp_path: Path) -> None:
    """Asked for, every way has the rows it changed and a change with its interval for each head, in JSON and on the page."""
    pytest.importorskip("matplotlib", reason="the extra report is not installed")
    rows = [orjson.loads(line) for line in data.read_bytes().splitlines()]
    few = _write(tmp_path / "few.jsonl", *rows[:3], *rows[-3:])
    done = mailweir("evaluate", few, "--robustness", "--json", "--report", tmp_path / "report", seconds=280)
    assert (done.code, done.err) == (0, "")
    (found,) = done.rows()
    assert set(found["robustness"]) == set(PERTURBATIONS)
    assert found["robustness"]["plain_letters"]["rows"] < 6
    for way in found["robustness"].values():
        assert list(way["heads"]) == [*found["heads"], "entities"]
        for drop in way["heads"].values():
            assert drop["change"]["low"] <= drop["change"]["value"] <= drop["change"]["high"]
            assert drop["after"] - drop["before"] == pytest.approx(drop["change"]["value"], abs=2e-4)
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert all(f"<td>{name}</td>" in page for name in PERTURBATIONS)


@pytest.fixture(scope="module")
def references(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that says what sums the rows up: their first sentences."""
    mails = [
        read_mail(orjson.dumps({"author": "x"} | row))[0] for row in map(orjson.loads, data.read_bytes().splitlines())
    ]
    made = lead_references([mail for mail in mails if mail])
    return _write(tmp_path_factory.mktemp("references") / "summaries.jsonl", *(r.model_dump() for r in made.values()))


def test_summaries_are_compared_with_references(data: Path, references: Path, tiny: Path) -> None:
    """The bundle beside leading sentences, by language, with the time that it takes; without references nothing."""
    done = mailweir("evaluate", data, references, "--bundle", tiny, "--json")
    (found,) = done.rows()
    assert (done.code, found["rows"]) == (0, ROWS)
    whole = found["summaries"]["all"]
    assert list(whole["summary"]) == ["bundle", "first sentence", "first two"]
    assert whole["summary"]["first sentence"]["sentences"]["f1"]["value"] == 1.0
    assert whole["summary"]["bundle"]["factuality"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert whole["gain"]["low"] <= whole["gain"]["value"] <= whole["gain"]["high"]
    assert (
        sum(part["rows"] for part in found["summaries"]["language"].values())
        == whole["rows"]
        == len(references.read_bytes().splitlines())
    )
    assert found["latency"]["steps"]["sentences"]["median"] > 0
    (without,) = mailweir("evaluate", data, "--bundle", tiny, "--json").rows()
    assert without["summaries"] is None


def test_people_see_summaries_on_80_columns(data: Path, references: Path, tiny: Path) -> None:
    """A table of ways to sum up, then a line each for the gain, the action items and the languages."""
    line = f"stty cols 80; {' '.join(COMMAND)} evaluate {data} {references} --bundle {tiny} 2>/dev/null"
    done = subprocess.run(["script", "-qec", line, "/dev/null"], capture_output=True, timeout=120, check=False)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", done.stdout.decode()).splitlines()
    assert max(map(len, shown)) <= 80
    for start in (
        "summary by",
        "first two",
        "bundle above the first two:",
        "action items:",
        "en: summary",
        "tr: summary",
    ):
        assert [line for line in shown if line.startswith(start)]
