"""A sample of the fuzzer (`python -m tests.fuzz`). What differs is printed with its seed, by which it comes again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fuzz import crowd, kills
from tests.fuzz.round import Round


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [11, 12, 13, 14])
def test_each_step_comes_to_what_a_clean_build_comes_to(seed: int, tmp_path: Path) -> None:
    root = tmp_path.resolve() / "tree"
    root.mkdir()
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "LC_ALL": "C"}
    Round(seed, root, env).play(steps=3)


@pytest.mark.timeout(600)
def test_killed_at_random_moments(tmp_path: Path) -> None:
    project = kills.at(tmp_path.resolve())
    assert kills.play(project, kills=12, units=8, seed=5, longest=0.8) == []
    assert kills.left_over(project) == []


@pytest.mark.timeout(600)
def test_builds_of_several_workspaces_while_the_store_is_collected(tmp_path: Path) -> None:
    top = tmp_path.resolve()
    assert crowd.play(top, kills.at(top).env, builds=3, units=5) == []
