"""gg-lay lays out files in roots such as nix's sandboxes have."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.native.compiled import SANITIZE, Native

_INSTALLED = Path(sysconfig.get_path("purelib")) / "gg/_native/gg-lay"


def _laid_out(native: Native, where: Path, *, root: int, etc: int) -> dict[str, bytes]:
    """What gg-lay finds at /etc/new, /etc/old and /usr/lib/file, in a root of these modes."""
    for name in ("root/etc", "root/nix", "root/build", "root/proc", "tree/etc", "tree/usr/lib", "out"):
        (where / name).mkdir(parents=True)
    (where / "root/etc/old").write_bytes(b"old")
    (where / "tree/etc/new").write_bytes(b"new")
    (where / "tree/etc/old").write_bytes(b"not this one: the first counts")
    (where / "tree/usr/lib/file").write_bytes(b"file")
    outputs = "".join(f"O {path}\t{path[1:]}\n" for path in ("/etc/new", "/etc/old", "/usr/lib/file"))
    (where / "plan").write_text("T /nix/tree\n" + outputs)
    (where / "root/etc").chmod(etc)
    (where / "root/nix/lay").touch()
    (where / "root/nix/plan").touch()
    (where / "root/nix/tree").mkdir()
    (where / "root/nix/out").mkdir()
    (where / "root").chmod(root)
    words = ["bwrap", "--unshare-all", "--as-pid-1", "--uid", "1000", "--gid", "100", "--bind", where / "root", "/"]
    static = _INSTALLED if SANITIZE == "address" else native.lay  # such a root has no loader
    words += ["--ro-bind", static, "/nix/lay", "--ro-bind", where / "plan", "/nix/plan"]
    words += ["--ro-bind", where / "tree", "/nix/tree", "--bind", where / "out", "/nix/out", "--proc", "/proc"]
    env = {"planPath": "/nix/plan", "out": "/nix/out", "NIX_BUILD_TOP": "/build", "PATH": os.environ["PATH"]}
    done = subprocess.run([*map(str, words), "/nix/lay"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_bytes() for path in (where / "out").rglob("*") if path.is_file()}


@pytest.mark.parametrize(("root", "etc"), [(0o750, 0o755), (0o750, 0o555), (0o550, 0o755), (0o550, 0o555)])
def test_a_root_of_any_mode(native: Native, tmp_path: Path, root: int, etc: int) -> None:
    """As nix 2.8 has it, as 2.26 has it, and as they have it where they build as users of their own."""
    assert _laid_out(native, tmp_path, root=root, etc=etc) == {"new": b"new", "old": b"old", "file": b"file"}
    assert sorted(path.name for path in (tmp_path / "root/etc").iterdir()) in (["new", "old"], ["old"])


def test_nothing_is_written_outside_of_a_sandbox(native: Native, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "other").write_text("other")
    (tmp_path / "plan").write_text(f"I {tmp_path}/file\t{tmp_path}/other\n")
    env = {"planPath": f"{tmp_path}/plan", "out": f"{tmp_path}/out", "NIX_BUILD_TOP": str(tmp_path)}
    done = subprocess.run([native.lay], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 125
    assert "nix's sandbox is off" in done.stderr
    assert (tmp_path / "file").read_text() == "mine"
