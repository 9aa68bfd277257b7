"""`mailweir train`: what it refuses before it starts, and a base of the user's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bases import save_bert
from command import mailweir

from mailweir.models.training.corpus import load_tasks


@pytest.mark.parametrize(
    "options", [("--frozen",), ("--checkpoints", "kept"), ("--layers", "2"), ("--base", "."), ("--taxonomy", "task")]
)
def test_a_refinement_takes_no_option_of_the_fit_below_it(tmp_path: Path, options: tuple[str, ...]) -> None:
    """`--trm` leaves the bundle as it is: what would change the encoder is refused, and nothing is written."""
    done = mailweir("train", "--out", tmp_path / "out", "--trm", tmp_path, *options)
    assert done.code == 2
    assert f"--trm fits over a finished bundle: leave out {options[0]}\n" in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--frozen", "--public", "."), "--frozen leaves the encoder as it is: leave out --public"),
        (("--frozen", "--checkpoints", "kept"), "--frozen leaves the encoder as it is: leave out --checkpoints"),
        (("--frozen", "--set", "focal=2", "--search", "1"), "leave out --set and --search"),
        (("--taxonomy", "task", "--public", "."), "--public holds mail, and --taxonomy task learns from tasks"),
    ],
)
def test_what_would_be_without_effect_is_refused(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    """Linear heads learn from no public mail and keep no checkpoint; a public mail has none of a task's labels."""
    done = mailweir("train", "--out", tmp_path / "out", *options)
    assert (done.code, done.out) == (2, "")
    assert message in done.err.replace("\n", " ")
    assert not (tmp_path / "out").exists()


def test_a_refinement_needs_a_bundle(tmp_path: Path) -> None:
    """The message names the folder and what is missing in it."""
    done = mailweir("train", "--out", tmp_path / "out", "--trm", tmp_path)
    assert done.code == 2
    assert f"{tmp_path} is no bundle: it has no manifest.json" in done.err.replace("\n", " ")


def test_a_bundle_over_a_base_of_ones_own_classifies(tmp_path: Path) -> None:
    """A Hugging Face folder, two of its three layers: `mailweir classify` answers with the bundle."""
    save_bert(tmp_path / "base", (f"{task.title} {task.description}" for task in load_tasks()))
    options = ("--taxonomy", "task", "--frozen", "--layers", 2, "--base", tmp_path / "base")
    done = mailweir("train", "--out", tmp_path / "out", *options, seconds=280)
    assert done.code == 0, done.err
    assert "written to" in done.out
    mail = json.dumps({"subject": "Door camera", "body": "The app at my door shows no picture since Friday."}).encode()
    found = mailweir("classify", "--bundle", tmp_path / "out", "--json", "-", stdin=mail)
    assert found.rows()[0]["heads"]["category"]["label"], found.err
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert "Base: base (bert, a Hugging Face folder), first 2 layers, frozen" in card
    assert "`mailweir train --out DIR --taxonomy task --frozen --base DIR --layers 2`" in card


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--layers", "13", "--frozen"), "--layers 13: give a number from 1 to 12"),
        (("--layers", "2"), "--set frozen=2: give at most 1: there are 2 layers"),
        (("--layers", "0", "--frozen"), "greater than or equal to 1"),
        (("--base", "nowhere"), "nowhere: no such folder"),
        (("--base", "."), "it has no config.json"),
    ],
)
def test_a_base_that_cannot_be_is_refused(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    """Too many or too few layers, no folder, an empty folder: said before anything is written."""
    given = [str(tmp_path) if option == "." else option for option in options]
    done = mailweir("train", "--out", tmp_path / "out", *given)
    assert done.code == 2
    assert said in done.err.replace("\n", " ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--out is missing: name the folder of the new bundle"),
        (("--compare", "focal=2"), "name --checkpoints (or --out, for OUT.checkpoints)"),
        (("--compare", "fokal=2", "--checkpoints", "kept"), "--compare fokal=2: fokal: there is no such option"),
        (("--out", "x", "--epochs", "2"), "--part, --epochs and --json are of --compare"),
        (
            ("--compare", "focal=2", "--out", "x", "--frozen"),
            "--frozen leaves the encoder as it is: leave out --compare",
        ),
    ],
)
def test_what_a_comparison_needs_is_named(options: tuple[str, ...], message: str) -> None:
    """Exit code 2 before anything is read or written."""
    done = mailweir("train", *options)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
