"""A place in the cloud for each test, and its project there. A module says which `functions` it wants, and its SOURCES."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.project import Project
from tests.servers.deployed import Deployed


@pytest.fixture
def here(functions: Deployed, request: pytest.FixtureRequest) -> Deployed:
    """The module's functions over a store that is empty."""
    return functions.at(re.sub(r"\W", "-", request.node.name))


@pytest.fixture
def project(here: Deployed, tmp_path: Path, request: pytest.FixtureRequest) -> Project:
    """The module's SOURCES, in a workspace whose engine is `here`."""
    return here.project(tmp_path, request.module.SOURCES)
