"""Going on from a bundle: what its training learned lies in it, and fine-tuning takes it up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from token_mails import examples

from mailweir.models.training.corpus import MailRow, load_mails
from mailweir.models.training.learned import keep
from mailweir.models.training.network import Network
from mailweir.models.training.start import LEARNED, Start, read_start, write_weights
from mailweir.models.training.tiny import TINY, build_tiny_bundle, random_encoder, tiny_base
from mailweir.models.training.train import Given, train_bundle
from mailweir.models.training.tune import Tuner
from mailweir.models.training.tuning import Adapters, Tuning, continued
from mailweir.schemas.errors import BundleError, InputError
from mailweir.schemas.manifest import Manifest

pytestmark = pytest.mark.usefixtures("one_thread")

SHORT = Tuning(Adapters(rank=2, alpha=4, frozen=1), heads_epochs=2, epochs=6, batch=8, decay=0.5, patience=6)
GENTLE = continued(SHORT)
HELD = np.arange(48) % 4 == 0
ENCODER = random_encoder(words=60, positions=24, layers=3)


def tuner(tuning: Tuning, start: Start | None = None) -> Tuner:
    return Tuner(ENCODER, examples(), 3, tuning, None, start)


def fit(one: Tuner) -> Network:
    return one.fit(~HELD, HELD, lambda logits: float(np.isfinite(logits).mean()), lambda *_: None)


@pytest.fixture(scope="module")
def start() -> Start:
    """What a first run learned."""
    return Start("1.first", keep(fit(tuner(replace(SHORT, heads_rate=1e-2, adapters_rate=5e-3)))))


def test_the_next_run_stands_where_the_last_one_ended(start: Start) -> None:
    """Before its first step the network answers as the one that was kept, to half precision."""
    first = tuner(replace(SHORT, heads_rate=1e-2, adapters_rate=5e-3))
    fit(first)
    again = tuner(GENTLE, start)
    again._cache()
    theirs, ours = (one.logits(range(48))[0] for one in (first, again))
    np.testing.assert_allclose(ours, theirs, atol=0.02 * np.abs(theirs).max())


def test_it_goes_on_and_does_not_begin_anew(start: Start) -> None:
    """Two gentle epochs from there have a lower loss than the same two from the untouched encoder."""
    on, anew = tuner(GENTLE, start), tuner(GENTLE)
    fit(on)
    fit(anew)
    assert [epoch.phase for epoch in on.history] == ["adapters", "adapters"]
    assert on.history[0].loss < 0.8 * anew.history[0].loss


def test_another_shape_is_refused(start: Start) -> None:
    """The message names the weights that do not fit and what to do."""
    wider = replace(GENTLE, adapters=replace(GENTLE.adapters, rank=4))
    with pytest.raises(InputError, match=r"cannot continue from 1\.first: .*lora_.* the bundle has one of .* its rank"):
        tuner(wider, start)
    with pytest.raises(InputError, match="the bundle has none"):
        tuner(GENTLE, Start("1.first", {}))


def test_a_checkpoint_of_another_start_is_refused(tmp_path: Path, start: Start) -> None:
    """Where a run began is a part of what it is."""
    fit(Tuner(ENCODER, examples(), 3, GENTLE, tmp_path, start))
    other = Tuner(ENCODER, examples(), 3, GENTLE, tmp_path)
    with pytest.raises(InputError, match="belongs to a run with other data or options"):
        fit(other)


def test_the_same_weights_give_the_same_file(tmp_path: Path, start: Start) -> None:
    """A bundle's hashes must not tell when it was written."""
    for name in ("one.npz", "two.npz"):
        write_weights(tmp_path / name, start.weights)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_other_weights_have_another_fingerprint(start: Start) -> None:
    """The same names and shapes with one weight moved are another start."""
    name, first = next(iter(start.weights.items()))
    moved = Start(start.version, {**start.weights, name: first + np.float16(0.5)})
    assert Start("another", start.weights).fingerprint() == start.fingerprint() != moved.fingerprint()


@pytest.fixture(scope="module")
def rows() -> list[MailRow]:
    return [row for row in load_mails() if row.author in {"ada", "cleo", "dov", "ebru", "iris", "sam"}][::3]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, rows: list[MailRow]) -> tuple[Path, Manifest]:
    """A bundle whose encoder was fine-tuned for an epoch."""
    out = tmp_path_factory.mktemp("tuned") / "bundle"
    recipe = replace(TINY, tuning=replace(SHORT, heads_epochs=1, epochs=1), validation=("sam",))
    return out, train_bundle(out, rows, recipe, Given(tiny_base(rows), quiet=True))


def test_a_bundle_keeps_what_was_learned(tmp_path: Path, rows: list[MailRow], tuned: tuple[Path, Manifest]) -> None:
    """A run from it says so in its manifest and begins with the loss at which the first one ended, or below."""
    bundle, first = tuned
    start = read_start(bundle)
    assert start is not None
    assert first.recipe["continued_from"] is None
    recipe = replace(TINY, tuning=replace(continued(SHORT), epochs=1), validation=("sam",))
    second = train_bundle(tmp_path / "next", rows, recipe, Given(tiny_base(rows), start=start, quiet=True))
    assert second.recipe["continued_from"] == first.model.version
    losses = [one.metrics["history"][-1]["loss"] for one in (first, second)]
    assert losses[1] < losses[0]


def test_a_frozen_bundle_has_nothing_to_go_on_from(tmp_path: Path, tuned: tuple[Path, Manifest]) -> None:
    """None, where nothing was kept; a damaged file is named."""
    build_tiny_bundle(tmp_path / "frozen")
    assert read_start(tmp_path / "frozen") is None
    (tmp_path / "frozen" / LEARNED).write_bytes(
        (tuned[0] / LEARNED).read_bytes()
    )  # no hash in the manifest vouches for it
    assert read_start(tmp_path / "frozen") is None
    bundle, _ = tuned
    whole = (bundle / LEARNED).read_bytes()
    try:
        (bundle / LEARNED).write_bytes(whole[:100])
        with pytest.raises(BundleError, match=r"learned\.npz cannot be read"):
            read_start(bundle)
    finally:
        (bundle / LEARNED).write_bytes(whole)
