"""The conformance suite on every store there is, and on every wrapper around memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gg.share.tiered import Tiered
from gg.store.base import Store
from gg.store.cache import Cache
from gg.store.directory import DirectoryStore
from gg.store.memory import MemoryStore
from gg.store.metered import Metered
from gg.store.retry import Retry
from gg.store.verified import Verify
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


class TestVerify(StoreSuite):
    @pytest.fixture
    def store(self) -> Store:
        return Verify(MemoryStore())


class TestRetry(StoreSuite):
    @pytest.fixture
    def store(self) -> Store:
        return Retry(MemoryStore())


class TestMetered(StoreSuite):
    @pytest.fixture
    def store(self) -> Store:
        return Metered(MemoryStore())


class TestCache(StoreSuite):
    @pytest.fixture
    def store(self) -> Store:
        return Cache(MemoryStore(), MemoryStore())


class TestCacheOnDisk(StoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        store = Cache(DirectoryStore(tmp_path / "near"), MemoryStore())
        yield store
        store.close()


class TestAllTogether(StoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        store = Metered(Cache(DirectoryStore(tmp_path / "near"), Verify(Retry(MemoryStore()))))
        yield store
        store.close()


class TestTiered(StoreSuite):
    """In front of a store that is shared with nobody: what it shares comes back to itself only."""

    @pytest.fixture(params=[True, False], ids=["sharing", "reading"])
    def store(self, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
        store = Tiered(DirectoryStore(tmp_path / "near"), MemoryStore(), share=request.param)
        yield store
        store.close()
