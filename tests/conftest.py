"""Fixtures that several areas of the tests share. What they need is imported when one of them is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers.seaweed import Seaweed


_caches = count()


@pytest.fixture(scope="session")
def seaweed_server() -> Iterator[Seaweed]:
    """An S3 server for the whole session: make a bucket of your own in it."""
    from tests.servers.seaweed import seaweed

    with seaweed() as server:
        yield server


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """State of gg's goes to a place of the test's own, that it need not make; not among what this user has."""
    monkeypatch.setenv("XDG_CACHE_HOME", f"{tmp_path_factory.getbasetemp()}/caches/{next(_caches)}")
