"""Ninja's own program reads what was put into its database."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gg.formats import ninja_build_log
from gg.formats import ninja_log as ninja

BUILD = """\
rule cc
  command = printf '%s' '$out: a.c b.h c.h' > $out.d; touch $out
  depfile = $out.d
  deps = gcc
build sub/a.o: cc
build {top}/b.o: cc
"""


@pytest.fixture
def built(tmp_path: Path) -> Path:
    for name in ("a.c", "b.h", "c.h", "d.h"):
        (tmp_path / name).touch()
    (tmp_path / "build.ninja").write_text(BUILD.format(top=tmp_path))
    subprocess.run(["ninja", "-C", tmp_path], check=True, capture_output=True)
    return tmp_path


def told(where: Path, output: str) -> list[str]:
    done = subprocess.run(["ninja", "-C", where, "-t", "deps", output], check=True, capture_output=True, text=True)
    head, *lines = done.stdout.strip().splitlines()
    assert "VALID" in head
    return [line.strip() for line in lines if line.startswith("    ")]


def test_the_last_record_counts(built: Path) -> None:
    top = bytes(built)
    assert told(built, "sub/a.o") == ["a.c", "b.h", "c.h"]
    assert ninja.directory_of(top + b"/sub/a.o", top) == top
    rule = b"sub/a.o: a.c ./x/../d.h \\\n b.h\n"
    ninja.update(top, {top + b"/sub/a.o": rule, top + b"/b.o": b"b.o: a.c\n", top + b"/unknown.o": rule})
    assert told(built, "sub/a.o") == ["a.c", "d.h", "b.h"]
    assert told(built, f"{built}/b.o") == ["a.c"]
    log = built / ".ninja_deps"
    size = log.stat().st_size
    ninja.update(top, {top + b"/sub/a.o": rule})
    assert log.stat().st_size == size
    again = subprocess.run(["ninja", "-C", built], check=True, capture_output=True, text=True)
    assert "no work to do" in again.stdout
    assert "warning" not in again.stdout + again.stderr


def test_it_is_let_be_while_ninja_runs(built: Path) -> None:
    log = built / ".ninja_deps"
    before = log.read_bytes()
    with open(log, "ab"):
        ninja.update(bytes(built), {bytes(built) + b"/sub/a.o": b"x: a.c\n"})
    assert log.read_bytes() == before


@pytest.mark.parametrize("spoil", [lambda d: d[:-3], lambda d: d.replace(b"\4", b"\3", 1), lambda d: d[:16] + d[24:]])
def test_a_damaged_one_is_let_be(built: Path, spoil: object) -> None:
    log = built / ".ninja_deps"
    assert callable(spoil)
    spoiled = spoil(log.read_bytes())
    log.write_bytes(spoiled)
    ninja.update(bytes(built), {bytes(built) + b"/sub/a.o": b"x: a.c\n"})
    assert log.read_bytes() == spoiled


def test_a_link_is_not_followed(built: Path) -> None:
    """A clone may have one that leads to another tree's."""
    other = built / "other"
    other.mkdir()
    (built / ".ninja_deps").rename(other / ".ninja_deps")
    (built / ".ninja_deps").symlink_to(other / ".ninja_deps")
    before = (other / ".ninja_deps").read_bytes()
    ninja.update(bytes(built), {bytes(built / "sub" / "a.o"): b"sub/a.o: a.c d.h\n"})
    assert (other / ".ninja_deps").read_bytes() == before


def test_no_database(tmp_path: Path) -> None:
    assert ninja.directory_of(bytes(tmp_path) + b"/x/a.o", bytes(tmp_path)) is None
    ninja.update(bytes(tmp_path), {bytes(tmp_path) + b"/a.o": b"x: a.c\n"})


COPY = """\
rule cp
  command = cp $in $out
build sub/b: cp a
build {top}/c: cp sub/b
"""


@pytest.mark.parametrize("at", ["", "builddir = logs\n"])
def test_what_was_not_made_is_run_again(at: str, tmp_path: Path) -> None:
    """Whatever stands there, and only that."""
    (tmp_path / "a").write_text("a")
    (tmp_path / "build.ninja").write_text(at + COPY.format(top=tmp_path))
    subprocess.run(["ninja", "-C", tmp_path], check=True, capture_output=True)
    directory = bytes(tmp_path / "logs" if at else tmp_path)
    assert ninja.directory_of(directory + b"/x", bytes(tmp_path), ninja_build_log.NAME) == directory
    log = Path(str(directory, "ascii")) / ".ninja_log"
    with open(log, "ab"):  # as ninja has it
        ninja_build_log.forget(directory, {bytes(tmp_path) + b"/sub/b"})
    assert "no work to do" in subprocess.run(["ninja", "-C", tmp_path], capture_output=True, text=True).stdout
    ninja_build_log.forget(directory, {bytes(tmp_path) + b"/sub/b", bytes(tmp_path) + b"/other"})
    assert "sub/b" not in log.read_text()
    assert "/c" in log.read_text()
    again = subprocess.run(["ninja", "-C", tmp_path, "-n"], check=True, capture_output=True, text=True)
    assert "cp a sub/b" in again.stdout
    assert "warning" not in again.stdout + again.stderr


def test_the_line_before_counts_again() -> None:
    head, first, second = b"# ninja log v5\n", b"0\t1\t7\tx.o\tff\n", b"0\t1\t9\tx.o\tff\n"
    assert ninja_build_log.without_last(head + first + second, [b"/t/x.o"], b"/t") == head + first
    assert ninja_build_log.without_last(head + first, [b"/t/sub/x.o"], b"/t") == head + first
    with pytest.raises(ValueError, match="version"):
        ninja_build_log.without_last(b"# ninja log v4\n", [], b"/t")
