"""What may be touched on the word of somebody else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gg.workspace.granted import Granted


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace in a home, with links that lead out of it."""
    root = tmp_path.resolve() / "home" / "work"
    (root / "sub" / ".git").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "a.c").write_text("int a;\n")
    (root.parent / ".bashrc").write_text("secret\n")
    (root.parent / ".ssh").mkdir()
    (root.parent / ".ssh" / "id").write_text("secret\n")
    (root / "out").symlink_to(root.parent)
    (root / "rc").symlink_to(root.parent / ".bashrc")
    tools = root.parent / "opt" / "gcc"
    (tools / "bin").mkdir(parents=True)
    (tools / "lib").mkdir()
    for name in ("bin/gcc", "lib/specs"):
        (tools / name).write_text("x")
    return root


def granted(root: Path) -> Granted:
    return Granted(os.fsencode(root), os.fsencode(root.parent))


@pytest.mark.parametrize("name", ["a.o", "sub/a.gcno", "sub/new", "gg.toml.d", ".gitignore"])
def test_what_a_build_writes(root: Path, name: str) -> None:
    assert granted(root).may_write(os.fsencode(root / name))


@pytest.mark.parametrize(
    "name",
    [
        "../.bashrc", "..", "out/.bashrc", "out/new", ".git/hooks/pre-commit", "sub/.git/config", ".gg/store/x", "gg.toml",
        "sub/gg.toml", "sub/../../.bashrc", "sub//x", "./x", "a\0b", "",
    ],
)  # fmt: skip
def test_what_nobody_elsewhere_has_written(root: Path, name: str) -> None:
    assert not granted(root).may_write(os.fsencode(root) + b"/" + os.fsencode(name))


@pytest.mark.parametrize("path", [b"relative", b"/etc/cron.d/x", b"/", b""])
def test_what_lies_elsewhere_is_not_written(root: Path, path: bytes) -> None:
    assert not granted(root).may_write(path)


@pytest.mark.parametrize("name", ["a.c", "../opt/gcc/lib/specs"])
def test_what_workers_may_have(root: Path, name: str) -> None:
    tool = os.fsencode(root.parent / "opt" / "gcc" / "bin" / "gcc")
    assert granted(root).may_read(os.path.normpath(os.fsencode(root / name)), tool)


@pytest.mark.parametrize("name", ["rc", "out/.bashrc", "out/.ssh/id", ".git/config", "../.bashrc", "../.ssh/id"])
def test_what_stays_at_home(root: Path, name: str) -> None:
    """The tool of a home's own bin/ does not open that home."""
    (root / ".git" / "config").write_text("token\n")
    (root.parent / "bin").mkdir()
    (root.parent / "bin" / "gcc").write_text("x")
    path = os.path.normpath(os.fsencode(root / name))
    assert not granted(root).may_read(path)
    assert not granted(root).may_read(path, os.fsencode(root.parent / "bin" / "gcc"))
    assert not granted(root).may_read(path, b"/usr/bin/gcc")


def test_the_systems_files() -> None:
    everybody = Granted(b"/nowhere/at/all", b"/root")
    assert everybody.may_read(b"/usr/include/stdio.h")
    assert not everybody.may_read(b"/etc/shadow")
    assert not everybody.may_read(b"/proc/self/environ/x")


@pytest.mark.parametrize(
    "name",
    [
        ".GIT/hooks/pre-commit", ".Git/config", "GG.TOML", "sub/Gg.Toml", ".gg /x", ".git./config", "git~1/config", "GIT~1",
        ".g\u200cit/config", ".g\u00adit/config", "\uff0egit/config", "gg.toml:stream", ".gg\u2060/store", ".SSH/id",
        "a\nb.o", "a\x1b[2J.o", "a\x7f", "a.o/", "a.o/.", "sub/../a.o", "out/../a.o",
    ],
)  # fmt: skip
def test_other_names_for_the_same(root: Path, name: str) -> None:
    """As file systems take them that ignore case, marks without width, dots at the end; and none that misleads who reads it."""
    assert not granted(root).may_write(os.fsencode(root) + b"/" + os.fsencode(name))


@pytest.mark.parametrize("name", ["größe.o", "\u7de8.o", "gg.toml.o", ".gitattributes", "digit", "a b.o", "x~1.o"])
def test_names_that_only_look_odd(root: Path, name: str) -> None:
    assert granted(root).may_write(os.fsencode(root) + b"/" + os.fsencode(name))


def test_what_is_no_text_is_a_name_all_the_same(root: Path) -> None:
    assert granted(root).may_write(os.fsencode(root) + b"/\xff\xfe.o")


@pytest.mark.parametrize(
    "path", [b"/proc/version", b"/proc/self/environ", b"/proc/cpuinfo", b"/sys/kernel/uevent_seqnum", b"/dev/null"]
)
def test_what_the_kernel_tells_is_no_file_of_the_systems(root: Path, path: bytes) -> None:
    assert not granted(root).may_read(path)


def test_what_the_user_grants(root: Path) -> None:
    secret = os.fsencode(root.parent / ".bashrc")
    asking = Granted(os.fsencode(root), os.fsencode(root.parent), [os.fsencode(root / "rc")])
    assert asking.may_read(secret)
    assert not asking.may_read(os.fsencode(root.parent / ".ssh" / "id"))
    assert not asking.may_write(secret)
    assert asking.first_kept([b"/usr/include/stdio.h", secret, os.fsencode(root.parent / ".ssh" / "id")]).endswith(
        b"id"
    )
