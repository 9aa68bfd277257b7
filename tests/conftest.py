"""Fixtures for every ring."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailweir.services.telemetry import configure_logging


def pytest_configure() -> None:
    """A shell that runs the suite in the background has told it, and so every command it starts, to ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Read when torch and numpy are loaded, which no file has done yet. Threads only wait for each other on matrices as small
    # as those of tests, and two processes run tests at a time.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True, scope="session")
def _logging() -> None:
    configure_logging("warning")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that decides a mail in well under a millisecond; nobody changes it. One for all processes of the run."""
    from bundles import shared_tiny

    return shared_tiny(tmp_path_factory.getbasetemp())


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch with one thread: two only wait for each other on matrices as small as those of tests."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own MAILWEIR_ variables do not reach the tests."""
    for name in [key for key in os.environ if key.startswith("MAILWEIR_")]:
        monkeypatch.delenv(name)
