"""One bare root for all tests of a process: making it takes a second."""

from __future__ import annotations

import pytest

from tests.elsewhere.bare import Bare


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Bare:
    return Bare(tmp_path_factory.mktemp("bare"))
