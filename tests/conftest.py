"""Fixtures that several areas of the tests share. What they need is imported when one of them is asked for."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.native.compiled import Native
    from tests.servers.moto import Moto
    from tests.servers.seaweed import Seaweed


_caches = count()

# So a shell starts what runs in its background, and nohup whatever it runs. What the tests start would ignore them too.
for _ignored, _default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_ignored) is signal.SIG_IGN:
        signal.signal(_ignored, _default)


@pytest.fixture(scope="session")
def seaweed_server() -> Iterator[Seaweed]:
    """An S3 server for the whole session: make a bucket of your own in it."""
    from tests.servers.seaweed import seaweed

    with seaweed() as server:
        yield server


@pytest.fixture(scope="module")
def moto_server() -> Iterator[Moto]:
    """Services of AWS for one file of tests."""
    from tests.servers.moto import moto

    with moto() as server:
        yield server


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> Native:
    """The native programs, compiled from the sources beside the tests."""
    from tests.native.compiled import compiled

    return compiled(tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="session", autouse=True)
def _sanitized(request: pytest.FixtureRequest) -> Iterator[None]:
    """With GG_SANITIZE, gg's own programs in this process are those that are compiled with it."""
    if not os.environ.get("GG_SANITIZE"):
        yield
        return
    from gg.host import native_programs

    made: Native = request.getfixturevalue("native")
    installed = native_programs._find
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native_programs, "_find", lambda name: made.called(name) or installed(name))
        yield


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """State of gg's goes to a place of the test's own, that it need not make; not among what this user has."""
    monkeypatch.setenv("XDG_CACHE_HOME", f"{tmp_path_factory.getbasetemp()}/caches/{next(_caches)}")
