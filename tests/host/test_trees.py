"""Trees that a stranger, or a command, has made deeper than any call may go."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gg.host import emptying
from gg.host.trees import empty_tree, remove_tree, walk
from gg.workspace import roots
from gg.workspace.workspace import Workspace
from tests.support.deep import deep


@pytest.mark.parametrize("remove", [remove_tree, empty_tree, emptying.remove])
def test_it_is_removed(remove: Callable[[str], None], tmp_path: Path) -> None:
    top, beside = tmp_path / "top", tmp_path / "beside"
    beside.mkdir()
    (beside / "file").touch()
    with deep(top):
        (top / "closed").mkdir(mode=0o0)
        (top / "link").symlink_to(beside)
        remove(str(top))
        assert not top.exists() or (remove is empty_tree and not list(top.iterdir()))
    assert (beside / "file").exists()


def test_it_is_walked_through(tmp_path: Path) -> None:
    with deep(tmp_path / "top"):
        (tmp_path / "top" / "link").symlink_to("/")
        found = list(walk(str(tmp_path / "top")))
    assert len(found) > 1000
    assert found[0][1:] == (["d", "link"], []) or found[0][1:] == (["link", "d"], [])
    flat = tmp_path / "flat"
    for name in ("a/b/c", "a/d", "e"):
        (flat / name).mkdir(parents=True)
    (flat / "a" / "f").touch()
    by_us, by_python = (sorted((d, sorted(n), f) for d, n, f in each(flat)) for each in (_walk, os.walk))
    assert by_us == by_python
    pruned = []
    for directory, names, _ in walk(str(flat)):
        pruned.append(os.path.basename(directory))
        names[:] = [name for name in names if name != "a"]
    assert pruned == ["flat", "e"]


def _walk(path: Path) -> list[tuple[str, list[str], list[str]]]:
    return list(walk(str(path)))


def test_what_a_killed_command_has_left_stops_no_later_one(tmp_path: Path) -> None:
    """Neither the next command in the workspace nor the removal of its records."""
    home, root = tmp_path / "gg", tmp_path / "tree"
    root.mkdir()
    workspace = Workspace.kept_in(str(home), str(root), roots.register(str(home), str(root)))
    workspace.make()
    left = Path(workspace.tmp, "a4194305-0")  # beyond what a process's number may be
    with deep(left):
        workspace.make()
        assert not left.exists()
    with deep(left):
        workspace.remove()
        assert not os.path.exists(workspace.dot)
