"""`mailweir train`: what it refuses before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import mailweir


@pytest.mark.parametrize("options", [("--frozen",), ("--checkpoints", "kept")])
def test_a_refinement_takes_no_option_of_the_fit_below_it(tmp_path: Path, options: tuple[str, ...]) -> None:
    """`--trm` leaves the bundle as it is: what would change the encoder is refused, and nothing is written."""
    done = mailweir("train", "--out", tmp_path / "out", "--trm", tmp_path, *options)
    assert done.code == 2
    assert "leave out --public, --checkpoints, --frozen, --set, --search, --compare and --track" in done.err
    assert not (tmp_path / "out").exists()


def test_a_refinement_needs_a_bundle(tmp_path: Path) -> None:
    """The message names the folder and what is missing in it."""
    done = mailweir("train", "--out", tmp_path / "out", "--trm", tmp_path)
    assert done.code == 2
    assert f"{tmp_path} is no bundle: it has no manifest.json" in done.err.replace("\n", " ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--out is missing: name the folder of the new bundle"),
        (("--compare", "focal=2"), "name --checkpoints (or --out, for OUT.checkpoints)"),
        (("--compare", "fokal=2", "--checkpoints", "kept"), "--compare fokal=2: fokal: there is no such option"),
        (("--out", "x", "--epochs", "2"), "--part, --epochs and --json are of --compare"),
        (("--compare", "focal=2", "--out", "x", "--frozen"), "--frozen leaves nothing to tune"),
    ],
)
def test_what_a_comparison_needs_is_named(options: tuple[str, ...], message: str) -> None:
    """Exit code 2 before anything is read or written."""
    done = mailweir("train", *options)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
