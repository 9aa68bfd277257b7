"""What a machine does to a training run: a full disk is waited for, and a wrong set-up is told as one."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from lessons import asked, champion_of, run_once, run_settings, said, serving, shard_of

from mailweir.models.registry import durable
from mailweir.schemas.errors import (
    BundleError,
    DependencyError,
    InputError,
    MailweirError,
    RegistryError,
    SettingsError,
)
from mailweir.schemas.events import RetrainFinished
from mailweir.services.trainer import carry

Run = Callable[[], RetrainFinished]


@pytest.fixture
def run(tmp_path: Path, tiny: Path) -> Run:
    """Carries a run of four words out, in `tmp_path`, again and again."""
    registry = serving(tmp_path, tiny)
    shard = shard_of(tmp_path, [said(number) for number in range(4)])
    known, request = run_settings(tmp_path, registry), asked(champion_of(registry), shard)
    return lambda: run_once(known, request, (shard,))


def _full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/runs/x")


def _wrapped(*_: object) -> None:
    try:
        _full()
    except OSError as error:
        raise RegistryError("/registry: No space left on device: is there room, and may we write?") from error


@pytest.mark.parametrize("step", ["plan", "training", "registry"])
def test_a_full_disk_is_waited_for(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """The run stays open: nothing says that it ended, and what to do is said. With room again the same call ends it."""
    with monkeypatch.context() as patch:
        if step == "plan":
            patch.setattr(durable.os, "fsync", _full)
        else:
            patch.setattr(carry, "_steps", _full if step == "training" else _wrapped)
        with pytest.raises(DependencyError, match=f"make room, as by removing ended runs below {tmp_path}/runs"):
            run()
    assert not list(tmp_path.glob("runs/*/end.json"))
    monkeypatch.setattr(carry, "_steps", lambda run: carry._end(run, "refused", None, ["no"]))
    assert run().outcome == "refused"


@pytest.mark.parametrize(
    ("error", "setup"),
    [
        (RegistryError("it is read-only"), True),
        (SettingsError("no key"), True),
        (BundleError("the champion's graph is missing"), True),
        (InputError("a shard is gone"), False),
        (MailweirError("a defect"), False),
    ],
)
def test_a_run_that_fails_at_its_machine_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch, *, error: MailweirError, setup: bool
) -> None:
    """Another run is soon asked for then; a shard that is gone would be gone again."""

    def broken(_: object) -> None:
        raise error

    monkeypatch.setattr(carry, "_steps", broken)
    end = run()
    assert (end.outcome, end.setup_failed, end.reasons) == ("failed", setup, (f"{error.code}: {error.message}",))
