"""The conformance suite on the stores that need no server."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gg.share.socket_server import StoreServer
from gg.share.socket_store import SocketStore
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


class TestSocket(StoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        with (
            tempfile.TemporaryDirectory() as short,
            DirectoryStore(tmp_path / ".gg") as kept,
            StoreServer(f"{short}/socket", kept, 0o600) as server,
        ):
            threading.Thread(target=server.serve_forever, daemon=True).start()
            store = SocketStore(f"{short}/socket")
            yield store
            store.close()
            server.shutdown()


class TestTiered(StoreSuite):
    """In front of a store that is shared with nobody: what it shares comes back to itself only."""

    @pytest.fixture(params=[True, False], ids=["sharing", "reading"])
    def store(self, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
        store = Tiered(DirectoryStore(tmp_path / "near"), MemoryStore(), share=request.param)
        yield store
        store.close()
