"""What killed processes have left in a workspace's `tmp/` goes when the workspace is next used; what is in use stays."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from gg.host.files import aside
from gg.workspace.workspace import Workspace


def test_leftovers_of_processes_that_are_no_more(tmp_path: Path) -> None:
    here = Workspace.create(str(tmp_path))
    gone = subprocess.Popen(["true"])
    gone.wait()
    ours = os.path.basename(os.fsdecode(aside(os.fsencode(here.tmp))))
    theirs = ours.replace(str(os.getpid()), str(gone.pid), 1)
    for name in (ours, theirs, f"r{gone.pid}", f"r{os.getpid()}"):
        Path(here.tmp, name).touch()
    attempt = Path(here.tmp, f"a{gone.pid}-7f-1")
    attempt.mkdir()
    (attempt / "half").touch()
    here.make()
    assert sorted(os.listdir(here.tmp)) == sorted([ours, f"r{os.getpid()}"])


def test_what_was_left_beside_a_path(tmp_path: Path) -> None:
    """A file that has a name in the tree for the moment in which it takes its place, and whose gg-place was killed."""
    here = Workspace.create(str(tmp_path))
    gone = subprocess.Popen(["true"])
    gone.wait()
    Path(here.tmp, f"o{gone.pid}-0.in").write_bytes(os.fsencode(tmp_path))
    for name in (f".gg-o{gone.pid}-0", f".gg-o{gone.pid}-1", f".gg-o{os.getpid()}-0"):
        (tmp_path / name).touch()
    here.make()
    assert sorted(path.name for path in tmp_path.glob(".gg-*")) == sorted(
        [f".gg-o{gone.pid}-1", f".gg-o{os.getpid()}-0"]
    )
    assert os.listdir(here.tmp) == []
