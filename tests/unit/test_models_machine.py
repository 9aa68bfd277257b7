"""Where training takes place: the machine that it finds, memory, short products, several batches a step, phases."""

from __future__ import annotations

import errno
import os
from collections import namedtuple
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from mailweir.models.training import checkpoint
from mailweir.models.training.checkpoint import read_checkpoint, write_checkpoint
from mailweir.models.training.examples import Examples
from mailweir.models.training.heads import Question
from mailweir.models.training.machine import Machine, free_memory, this_machine
from mailweir.models.training.schedule import plan, rate, stage
from mailweir.models.training.shelf import Shelf, shelf_bytes
from mailweir.models.training.tiny import random_encoder
from mailweir.models.training.tune import Tuner
from mailweir.models.training.tuning import Adapters, Tuning, changed, differences, identity
from mailweir.schemas.errors import InputError
from mailweir.services.trainer.folder import no_room

pytestmark = pytest.mark.usefixtures("one_thread")

SHORT = Tuning(Adapters(rank=2, alpha=4, frozen=1), heads_epochs=1, epochs=2, batch=8, decay=0.5)


def examples(lengths: list[int]) -> Examples:
    draw = np.random.default_rng(4)
    mails = [draw.integers(4, 60, size=length) for length in lengths]
    answers = np.eye(2, dtype=np.int64)[[int(mail[0] % 2) for mail in mails]]
    return Examples(
        mails, [Question("category", "one", ("even", "odd"), answers, np.ones(len(mails), bool))], [None] * len(mails)
    )


def tuner(tuning: Tuning, folder: Path | None = None) -> Tuner:
    return Tuner(random_encoder(60, 24, 2), examples([5 + n % 9 for n in range(32)]), 0, tuning, folder)


def fitted(tuning: Tuning, folder: Path | None = None) -> np.ndarray:
    held = np.arange(32) % 4 == 0
    network = tuner(tuning, folder).fit(~held, held, lambda _: 1.0, lambda *_: None)
    return torch.cat([p.detach().flatten() for p in [*network.trained(), *network.fresh()]]).numpy()


def test_a_processor_is_found_where_there_is_no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """With torch's threads and the memory that is free; products stay as long as they are everywhere."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    machine = this_machine()
    assert (machine.device, machine.threads, machine.short(0)) == ("cpu", 1, False)
    assert 0 < machine.free < 1e14
    assert machine.line.startswith("cpu: ")
    assert f"1 threads, {machine.free / 1e9:.1f} GB of memory free" in machine.line


def test_a_card_is_taken_where_torch_sees_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """With short products if its hardware makes them."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")
    for able in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda able=able, **_: able)
        machine = this_machine()
        assert (machine.device, machine.name, machine.short(0), machine.short(32)) == ("cuda", "a card", able, False)
        assert machine.short(16)


def test_a_container_has_the_memory_of_its_limit(tmp_path: Path) -> None:
    """What is left of it, or what the machine has free if that is less or there is no limit."""
    memory, limit, used = (tmp_path / name for name in ("meminfo", "max", "current"))
    memory.write_text("MemTotal: 9000 kB\nMemAvailable:  4000 kB\n")
    assert free_memory(memory, limit, used) == 4_096_000
    used.write_text("1000000\n")
    for said, free in (("max", 4_096_000), ("3000000", 2_000_000), ("900000", 0), ("99000000", 4_096_000)):
        limit.write_text(f"{said}\n")
        assert free_memory(memory, limit, used) == free


def test_the_budget_is_half_of_what_is_free_or_what_is_asked_for() -> None:
    """In bytes."""
    machine = Machine("cpu", "2 cores", 2, 8_000_000_000, bfloat16=False)
    assert machine.budget(0.0) == 4_000_000_000
    assert machine.budget(0.5) == 500_000_000


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_shelf_gives_what_was_put(tmp_path: Path, on_disk: bool) -> None:  # noqa: FBT001
    """Rows of any length in any order, in memory or in a file that nobody has to clear away."""
    rows = {7: np.ones((2, 3), np.float16), 3: np.arange(12, dtype=np.float16).reshape(4, 3)}
    shelf = Shelf({row: len(vectors) for row, vectors in rows.items()}, 3, tmp_path if on_disk else None)
    for row in (3, 7):
        shelf.put(row, rows[row])
    for row, vectors in rows.items():
        np.testing.assert_array_equal(shelf[row], vectors)
    assert isinstance(shelf[3], np.memmap) is on_disk
    assert list(tmp_path.iterdir()) == []
    assert shelf_bytes([2, 4], 3) == 6 * 3 * 2


def test_a_full_disk_is_named_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the folder, both sizes and what can be done."""
    usage = namedtuple("usage", "total used free")  # noqa: PYI024  # as shutil has it
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(0, 0, 1_000_000_000))
    with pytest.raises(
        InputError, match=r"room for 1\.0 GB and training keeps 2\.0: name --checkpoints on another disk"
    ) as found:
        Shelf({0: 1_000_000}, 1_000, tmp_path)
    assert no_room(found.value)  # the trainer waits for it


def test_a_checkpoint_on_a_full_disk_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told as the full disk that it is, and the half of the new one goes, which would keep the disk full."""
    file = tmp_path / "x" / "run.pt"
    write_checkpoint(file, {"step": torch.ones(3)})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as found:
        write_checkpoint(file, {"step": torch.zeros(3)})
    assert no_room(found.value)
    assert [path.name for path in file.parent.iterdir()] == ["run.pt"]
    assert read_checkpoint(file)["step"].tolist() == [1, 1, 1]


def test_a_budget_that_is_too_small_moves_vectors_to_a_file_and_changes_no_bit(tmp_path: Path) -> None:
    """The run says so; its checkpoint is that of any other budget."""
    tight = replace(SHORT, memory_gb=1e-6)
    lines = list(tuner(tight, tmp_path).plan())
    assert f"kept in a file in {tmp_path} (budget 1e-06 GB)" in lines[1]
    assert "kept in memory" in list(tuner(SHORT, tmp_path).plan())[1]
    np.testing.assert_array_equal(fitted(tight, tmp_path / "a"), fitted(SHORT, tmp_path / "b"))
    assert isinstance(_shelved(tight, tmp_path), np.memmap)
    assert not isinstance(_shelved(SHORT, tmp_path), np.memmap)
    fitted(replace(SHORT, memory_gb=1.0), tmp_path / "a")  # goes on from the checkpoint


def _shelved(tuning: Tuning, folder: Path) -> np.ndarray:
    one = tuner(tuning, folder)
    one._cache()
    return one._lower[0]


def test_options_of_later_days_leave_an_old_checkpoint_valid() -> None:
    """At their defaults they are not in what a checkpoint is known by; a change of result is, a change of place is not."""
    usual = identity(Tuning())
    before = {k: v for k, v in asdict(Tuning()).items() if k not in {"accumulate", "bits", "memory_gb"}}
    assert str(usual) == str(before)  # as it is written goes into the digest
    assert identity(Tuning(memory_gb=3.0)) == usual
    assert identity(Tuning(accumulate=2)) == usual | {"accumulate": 2}
    assert identity(Tuning(bits=16)) == usual | {"bits": 16}
    assert list(differences(Tuning(memory_gb=3.0, accumulate=2), Tuning())) == ["accumulate=2"]


def test_gradients_of_small_batches_make_the_step_of_a_large_one() -> None:
    """Four times two mails of one length: the heads' weights after three steps are those of three steps over eight."""
    found = []
    for batch, accumulate in ((8, 1), (2, 4), (2, 1)):
        tuning = changed(SHORT, [f"batch={batch}", f"accumulate={accumulate}", "balance=0", "heads_epochs=3"])
        one = Tuner(random_encoder(60, 24, 2), examples([9] * 8), 0, tuning, None)
        one._cache()
        one._heads_phase(np.arange(8), lambda *_: None)
        found.append(one.network.answer.weight.detach().numpy())
    np.testing.assert_allclose(found[1], found[0], atol=1e-5)
    assert np.abs(found[2] - found[0]).max() > 1e-3


def test_a_group_that_is_not_full_makes_a_step_of_its_own() -> None:
    """Twenty-four mails in batches of eight, two a step: two steps an epoch, and every mail is told of."""
    told: list[int] = []
    held = np.arange(32) % 4 == 0
    tuner(replace(SHORT, accumulate=2)).fit(~held, held, lambda _: 1.0, lambda mails, _: told.append(mails))
    assert told == [16, 8] * 3


def test_short_products_change_a_little_and_learn_as_well() -> None:
    """bfloat16 where it is asked for: other weights, finite, near those of 32 bits."""
    long, brief = fitted(SHORT), fitted(replace(SHORT, bits=16))
    assert np.isfinite(brief).all()
    assert 0 < np.abs(long - brief).max() < 0.05
    np.testing.assert_array_equal(fitted(replace(SHORT, bits=32)), long)
    assert "products of 16 bits" in next(tuner(replace(SHORT, bits=16)).plan())
    assert "products of 32 bits" in next(tuner(SHORT).plan())


def test_the_rate_rises_then_falls() -> None:
    """To its height in 6 % of the steps, to a hundredth in the end."""
    rates = [rate(step, 100) for step in range(101)]
    assert rates[:6] == pytest.approx([n / 6 for n in range(1, 7)])
    assert max(rates) == rates[5] == 1.0
    assert all(later < earlier for earlier, later in pairwise(rates[6:]))
    assert rates[100] == pytest.approx(0.01)


def test_the_phases_are_told() -> None:
    """Warm-up of the heads, the main part, the end at small rates; together as many epochs as there are."""
    assert [stage(epoch, 6) for epoch in range(6)] == ["main"] * 3 + ["fine-tune"] * 3
    lines = list(plan(Tuning()))
    assert lines[0].startswith("warm-up: 8 epochs of the heads alone")
    assert lines[1].startswith("main: 3 epochs of adapters and heads, rate to 0.001 in the first 6%")
    assert lines[2].startswith("fine-tune: 3 epochs below half of that rate; ends before if 3 epochs gain nothing")
