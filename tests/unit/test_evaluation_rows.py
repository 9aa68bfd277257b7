"""Rows to evaluate on: what they may leave out, and those that cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from evaluated import ROW, lines

from mailweir.models.evaluation import read_examples
from mailweir.models.runtime import shipped_bundle
from mailweir.models.runtime.integrity import read_manifest
from mailweir.models.training.corpus import EntityMark
from mailweir.schemas.errors import InputError
from mailweir.schemas.events import TaxonomyRef
from mailweir.schemas.manifest import HeadSpec, Manifest

TASK: dict[str, Any] = {"id": "t-1", "language": "en", "title": "Fix the form", "description": "It drops one.", "label": "Development"}  # fmt: skip


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    """Of the shipped bundle."""
    return read_manifest(shipped_bundle())


def as_task(manifest: Manifest) -> Manifest:
    """The same bundle, were it trained on tasks."""
    labels = ("Development", "Design", "Research", "Meeting", "Planning")
    heads = {"category": HeadSpec(labels=labels, temperature=1.0, threshold=0.5)}
    return manifest.model_copy(update={"taxonomy": TaxonomyRef(name="task", version=1), "heads": heads})


def test_rows_may_leave_out_what_nobody_asks(tmp_path: Path, manifest: Manifest) -> None:
    """No author, date or receiver, a source, fields of another tool; a missing label or entity list is masked, not empty."""
    short = {name: value for name, value in ROW.items() if name not in {"to", "date", "entities"}}
    short |= {"id": "a-2", "source": "archive", "note": 7, "labels": {"category": "work"}}
    first, second = read_examples([lines(tmp_path, ROW, b"", short)], manifest)
    assert (first.source, second.source) == ("unknown", "archive")
    assert first.labels["priority"] is None
    assert (second.labels["category"], second.labels["next_actions"]) == ("work", None)
    assert first.entities == (EntityMark(type="po_number", text="12345678"),)
    assert second.entities is None
    assert first.model_input().text == "query: PO 12345678 example.org > sales please book 12 pcs"


def test_task_rows_are_read_for_a_bundle_of_tasks(tmp_path: Path, manifest: Manifest) -> None:
    """The title is the subject, the description the body."""
    (task,) = read_examples([lines(tmp_path, TASK)], as_task(manifest))
    assert task.labels == {"category": "Development"}
    assert task.model_input().text == "query: Fix the form > It drops one."


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (b"{nonsense", "not JSON"),
        (b"[1]", "not a JSON object but list"),
        (ROW | {"labels": ROW["labels"] | {"category": "wrok"}}, "category has no label 'wrok'"),
        (ROW | {"labels": ROW["labels"] | {"categry": None}}, "unknown head categry; there are category, intent"),
        (ROW | {"labels": ROW["labels"] | {"next_actions": "validate_po"}}, "next_actions"),
        (ROW | {"labels": ROW["labels"] | {"category": ["work"]}}, "category"),
        (ROW | {"labels": "work"}, "labels"),
        (ROW | {"entities": [{"type": "po_number", "text": "87654321"}]}, "'87654321' is neither in the subject nor"),
        (ROW | {"entities": [{"type": "po", "text": "12345678"}]}, "unknown entity type 'po'"),
        ({name: value for name, value in ROW.items() if name != "body"}, "body"),
        (TASK, "name one of taxonomy task with --bundle"),
        (ROW | {"id": "first"}, "id first is also that of"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(row: object, said: str, tmp_path: Path, manifest: Manifest) -> None:
    """File, line and what is wrong; nothing is left out silently."""
    path = lines(tmp_path, ROW | {"id": "first"}, row)
    with pytest.raises(InputError) as error:
        read_examples([path], manifest)
    assert error.value.message.startswith(f"{path}:2: ")
    assert said in error.value.message


@pytest.mark.parametrize(
    ("row", "said"),
    [(ROW, "name one of taxonomy email"), (TASK | {"label": "Sleep"}, "'Sleep'"), (TASK | {"title": 3}, "title")],
)
def test_a_bundle_of_tasks_refuses_other_rows(row: object, said: str, tmp_path: Path, manifest: Manifest) -> None:
    """The message names the line and what would fit."""
    path = lines(tmp_path, row)
    with pytest.raises(InputError, match=r"rows\.jsonl:1: ") as error:
        read_examples([path], as_task(manifest))
    assert said in error.value.message


def test_all_broken_rows_are_counted(tmp_path: Path, manifest: Manifest) -> None:
    """The first is told, and how many more there are."""
    with pytest.raises(InputError, match=r":1: .*\(and 2 more rows are broken\)$"):
        read_examples([lines(tmp_path, b"a", b"b", ROW, b"c")], manifest)


def test_a_label_that_the_bundle_was_not_trained_on_is_an_error(tmp_path: Path, manifest: Manifest) -> None:
    """It could only be answered wrongly."""
    spec = manifest.heads["category"].model_copy(update={"labels": ("spam", "other")})
    small = manifest.model_copy(update={"heads": {**manifest.heads, "category": spec}})
    with pytest.raises(InputError, match="has no label work"):
        read_examples([lines(tmp_path, ROW)], small)


def test_a_file_without_rows_or_labels_is_an_error(tmp_path: Path, manifest: Manifest) -> None:
    """Empty, not there, a folder, or nothing to compare with."""
    for path in (lines(tmp_path, b"", b"  "), tmp_path / "nowhere.jsonl", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            read_examples([path], manifest)
    with pytest.raises(InputError, match="no row has a label"):
        read_examples([lines(tmp_path, ROW | {"labels": {}})], manifest)
