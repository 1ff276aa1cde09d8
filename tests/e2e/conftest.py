"""Fixtures of the end-to-end tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty tree, and an environment without this user's settings."""
    root = tmp_path.resolve() / "tree"
    root.mkdir()
    home = tmp_path / "home"
    home.mkdir()
    keep = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return Project(root, {**keep, "HOME": str(home), "LC_ALL": "C"})
