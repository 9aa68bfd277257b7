"""Fixtures of several files of this folder."""

from __future__ import annotations

from collections.abc import Iterator
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


@pytest.fixture(scope="module")
def end() -> int:
    """The last moment that Prometheus has something of."""
    from history import last_moment

    return last_moment()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, end: int) -> Iterator[str]:
    """The address of one that holds what workers would have told it."""
    from history import filled_prometheus

    with filled_prometheus(tmp_path_factory.mktemp("prometheus"), end) as url:
        yield url
