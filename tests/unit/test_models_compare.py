"""Sets of options compared in one table: how they are written, what is kept, what the table says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from mailweir.models.training.compare import KEPT, Comparison, Effort, compare
from mailweir.models.training.corpus import MailRow, load_mails
from mailweir.models.training.prepare import prepare
from mailweir.models.training.recipe import Steps, progress_bars
from mailweir.models.training.sets import USUAL, option_sets
from mailweir.models.training.split import Run, Split
from mailweir.models.training.tiny import TINY, random_encoder, tiny_base
from mailweir.models.training.train import Given
from mailweir.models.training.trial import subset_of
from mailweir.models.training.tuning import Adapters, Tuning
from mailweir.schemas.errors import InputError, SettingsError
from mailweir.services.cli.app import app
from mailweir.services.cli.train_compare import show_comparison

pytestmark = pytest.mark.usefixtures("one_thread")

USED = Tuning(Adapters(rank=2, alpha=4, frozen=0), batch=32)
RECIPE = replace(TINY, tuning=USED, validation=("sam",))
EFFORT = Effort(part=3, epochs=1)


@pytest.fixture(scope="module")
def rows() -> list[MailRow]:
    return [row for row in load_mails() if row.author in {"ada", "cleo", "dov", "ebru", "sam"}][::4]


def compared(rows: list[MailRow], folder: Path, *written: str) -> Comparison:
    given = Given(tiny_base(rows), checkpoints=folder, quiet=True)
    return compare(rows, RECIPE, given, option_sets(USED, written, 1), EFFORT)


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / KEPT).read_text().splitlines()]


@pytest.fixture(scope="module")
def first(rows: list[MailRow], tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Path]:
    folder = tmp_path_factory.mktemp("tries")
    return compared(rows, folder, "heads_rate=0.05,adapters_rate=0.01"), folder


def test_the_table_holds_every_set_and_its_difference(first: tuple[Comparison, Path], rows: list[MailRow]) -> None:
    """The recipe as it is first, without a difference; the others with an interval around theirs."""
    found, _ = first
    usual, other = found.entries
    assert (usual.options, usual.difference) == (USUAL, None)
    assert other.options == "heads_rate=0.05,adapters_rate=0.01"
    assert other.difference is not None
    assert other.difference.value == pytest.approx(other.mean - usual.mean)
    assert other.difference.low < other.difference.value < other.difference.high
    assert (
        other.mean > usual.mean
    )  # a rate 25 times as high, where the usual one learns next to nothing in so few steps
    for entry in found.entries:
        assert list(entry.f1) == ["category", "intent", "action", "priority", "workflow_state", "next_actions"]
        assert entry.mean == pytest.approx(np.mean(list(entry.f1.values())))
        assert entry.minutes > 0
    assert found.validated == sum(row.author == "sam" for row in rows)
    assert (found.part, found.epochs) == (3, 1)


def test_a_comparison_goes_on_after_the_finished_trials(
    first: tuple[Comparison, Path], rows: list[MailRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept is not tried again and says the same; another set is added to it."""
    found, folder = first
    kept = lines(folder)
    assert [line["options"] for line in kept] == [USUAL, "heads_rate=0.05,adapters_rate=0.01"]
    with monkeypatch.context() as patched:
        patched.setattr("mailweir.models.training.compare.attempt", None)  # whoever tries anything fails
        assert compared(rows, folder, "heads_rate=0.05,adapters_rate=0.01") == found
    more = compared(rows, folder, "seed=8")
    assert more.entries[0] == found.entries[0]
    assert lines(folder)[:2] == kept
    assert len(lines(folder)) == 3


def test_the_rows_are_the_same_and_other_forms_as_many_as_a_set_wants(rows: list[MailRow]) -> None:
    """A third of the rows to learn from, all of the validation author's; a share of that third in another form."""
    split = Split.by_author(rows, RECIPE.folds, RECIPE.test, RECIPE.validation)
    run = Run(rows, split, RECIPE, Steps(progress_bars(hidden=True)))
    ready = prepare(tiny_base(rows), run)
    learned = {}
    for share in (0.0, 0.5):
        subset = subset_of(replace(run, recipe=replace(RECIPE, tuning=replace(USED, augment=share))), ready, 3)
        assert subset.validating.sum() == split.validating.sum()
        learned[share] = int((~subset.validating).sum())
    third = -(-int(split.fitting.sum()) // 3)
    assert learned[0.0] == third
    assert 1.3 * third < learned[0.5] <= third + round(third / 2)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (["fokal=2"], r"--compare fokal=2: fokal: there is no such option: rank"),
        (["focal=2,rank=x"], r"--compare focal=2,rank=x: rank=x: give a whole number from 1 to 256"),
        (["epochs=9"], r"--compare epochs=9: epochs cannot be compared: --epochs says how long"),
        (["focal=1,memory_gb=2"], r"memory_gb cannot be compared: it changes no result"),
        (["frozen=6"], r"--compare frozen=6: frozen=6: give at most 5: there are 6 layers"),
        (["focal=0"], r"--compare focal=0 is the same as the recipe as it is: leave it out"),
        (["focal=2", "focal=2.0"], r"--compare focal=2\.0 is the same as focal=2: leave it out"),
        ([""], r"--compare : : there is no such option"),
    ],
)
def test_a_set_that_cannot_be_compared_is_named(written: list[str], message: str) -> None:
    """With the reason or what is allowed."""
    with pytest.raises(SettingsError, match=message):
        option_sets(Tuning(), written, 6)


def test_what_is_no_trial_is_named_with_its_line(tmp_path: Path, rows: list[MailRow]) -> None:
    """And a comparison needs rows of a validation author and a folder."""
    (tmp_path / KEPT).write_text('{"key": "a", "options": "b", "minutes": 1, "answers": ""}\n{"key": \n')
    with pytest.raises(InputError, match=r"compare\.jsonl:2 is no trial: delete the line"):
        compared(rows, tmp_path, "focal=2")
    with pytest.raises(InputError, match="no row is by one of: nobody"):
        compare(rows, replace(RECIPE, validation=("nobody",)), Given(checkpoints=tmp_path), [], EFFORT)


@pytest.mark.parametrize("change", [lambda text: text[:-8], lambda text: text + "!", lambda _: None])
def test_answers_that_were_cut_short_are_not_read_as_none(
    first: tuple[Comparison, Path], rows: list[MailRow], tmp_path: Path, change: Callable[[str], object]
) -> None:
    """Fewer answers than there are mails, what is no base64, or nothing: named with the line, not taken for answers of 0."""
    usual, other = lines(first[1])[:2]
    other["answers"] = change(str(other["answers"]))
    (tmp_path / KEPT).write_text("".join(f"{json.dumps(line)}\n" for line in (usual, other)))
    with pytest.raises(InputError, match=r"compare\.jsonl:2 is no trial: delete the line"):
        compared(rows, tmp_path, "heads_rate=0.05,adapters_rate=0.01")


@pytest.mark.parametrize("columns", [80, 140])
def test_the_table_is_one(
    first: tuple[Comparison, Path], columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line for each set under one heading, nothing of it cut on 80 columns, and how to read it; as JSON the same figures."""
    found, _ = first
    monkeypatch.setattr("mailweir.services.cli.train_compare.console", lambda: Console(width=columns))
    show_comparison(found, as_json=False)
    heading, usual, other, *note = capsys.readouterr().out.splitlines()
    assert heading.split() == [
        "options",
        "cat.",
        "int.",
        "act.",
        "pri.",
        "wor.",
        "nex.",
        "mean",
        "less",
        "the",
        "recipe",
        "min",
    ]
    assert usual.startswith(USUAL)
    assert usual.split()[-8:-1] == [f"{f1:.3f}"[1:] for f1 in (*found.entries[0].f1.values(), found.entries[0].mean)]
    difference = found.entries[1].difference
    assert difference is not None
    assert f"{difference.value:+.3f} [{difference.low:+.3f} {difference.high:+.3f}]".replace("0.", ".") in other
    assert "95 % bootstrap interval" in " ".join(note)
    show_comparison(found, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["entries"][1]["difference"]["value"] == pytest.approx(difference.value)
    assert told["entries"][0]["difference"] is None


def test_the_command_prints_the_table(rows: list[MailRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`mailweir train --compare` with rows of a file: one JSON object, no bundle, the tries beside the checkpoints."""
    corpus = tmp_path / "rows.jsonl"
    corpus.write_text("".join(row.model_dump_json() + "\n" for row in rows))
    base = tiny_base(rows)
    wide = replace(base, encoder=random_encoder(len(base.pieces.texts), 256, 6))
    monkeypatch.setattr("mailweir.models.training.compare.read_base", lambda _: wide)
    asked = ["--compare", "focal=2", "--part", "8", "--epochs", "1", "--json", "--set", "augment=0"]
    done = CliRunner().invoke(app, ["train", "--corpus", str(corpus), "--out", str(tmp_path / "out"), *asked])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout.splitlines()[-1])
    assert [entry["options"] for entry in told["entries"]] == [USUAL, "focal=2"]
    assert (told["part"], told["epochs"]) == (8, 1)
    assert not (tmp_path / "out").exists()
    assert len(lines(tmp_path / "out.checkpoints")) == 2
