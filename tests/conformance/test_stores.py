"""The conformance suite on the stores that need no server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gg.share.tiered import Tiered
from gg.store.base import Store
from gg.store.directory import DirectoryStore
from gg.store.memory import MemoryStore
from gg.store.wrapper import Wrapper
from tests.conformance.store_suite import StoreSuite


class TestMemory(StoreSuite):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()


class TestDirectory(StoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        with DirectoryStore(tmp_path / ".gg") as store:
            yield store


class TestWrapper(StoreSuite):
    @pytest.fixture
    def store(self) -> Store:
        return Wrapper(MemoryStore())


class TestTiered(StoreSuite):
    """In front of a store that is shared with nobody: what it shares comes back to itself only."""

    @pytest.fixture(params=[True, False], ids=["sharing", "reading"])
    def store(self, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
        store = Tiered(DirectoryStore(tmp_path / "near"), MemoryStore(), share=request.param)
        yield store
        store.close()
