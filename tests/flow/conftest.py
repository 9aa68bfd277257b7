"""Fixtures of several files of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """The folder of an empty ledger."""
    return tmp_path / "ledger"


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small one; nobody changes it."""
    from lessons import small_corpus

    return small_corpus(tmp_path_factory.mktemp("small") / "corpus")
