"""Fixtures that several files of this ring share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from history import filled_prometheus, last_moment


@pytest.fixture(scope="module")
def end() -> int:
    """The last moment that Prometheus has something of."""
    return last_moment()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, end: int) -> Iterator[str]:
    """The address of one that holds what workers would have told it."""
    with filled_prometheus(tmp_path_factory.mktemp("prometheus"), end) as url:
        yield url
