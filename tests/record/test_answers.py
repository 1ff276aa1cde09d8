"""What tools answered is believed while nothing that it depends on has changed, and not a moment longer."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from gg.models.drafts import Completed
from gg.record.recall.answers import Answers


class Toolchain:
    """A driver in a prefix of its own, and how often it was asked. Everything that it names is below `top`."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.driver = top / "usr" / "bin" / "gcc"
        self.parts = top / "usr" / "lib" / "gcc" / "12"
        self.other = top / "usr" / "local" / "lib" / "gcc"  # searched, and not there
        for directory in (self.driver.parent, self.parts, top / "opt" / "parts", top / "opt" / "exec"):
            directory.mkdir(parents=True)
        shutil.copy("/bin/true", top / "usr" / "bin" / "gcc-12")
        self.driver.symlink_to("gcc-12")
        for name in ("cc1", "specs.old"):
            shutil.copy("/bin/true", self.parts / name)
        self.said = (
            f"gcc version 12\nCOMPILER_PATH={self.parts}/:{self.parts}/../\n {self.parts}/cc1 -o /tmp/ccXYZABC.s\n"
        )
        self.env = {b"PATH": os.fsencode(self.driver.parent), b"LC_ALL": b"C"}
        self.env[b"COMPILER_PATH"] = os.fsencode(top / "opt" / "parts")
        self.flags: tuple[bytes, ...] = (b"-v", b"-###")
        self.asked = 0
        self.status = 0

    def run(self, argv: Sequence[bytes], env: Mapping[bytes, bytes], cwd: bytes) -> Completed:
        if b"-print-search-dirs" in argv:
            return Completed(0, f"programs: ={self.parts}/:{self.other}/\n".encode(), b"")
        self.asked += 1
        return Completed(self.status, b"", self.said.encode())

    def session(self, workspace: str = "one") -> bool:
        """Ask in a new session; whether the driver was run."""
        before = self.asked
        common = os.fsencode(self.top.parent / "cache" / "answers")
        answers = Answers(os.fsencode(self.top.parent / f"answers-{workspace}"), self.run, common)
        found = answers.ask((os.fsencode(self.driver), *self.flags), self.env, b"/")
        assert found.stderr == self.said.encode()
        answers.flush()
        return self.asked > before


@pytest.fixture
def toolchain(tmp_path: Path) -> Toolchain:
    made = Toolchain(tmp_path / "a" / "b" / "top")
    time.sleep(0.12)  # what has just been made is not believed
    return made


def test_an_answer_outlives_the_session(toolchain: Toolchain) -> None:
    assert toolchain.session()
    assert not toolchain.session()
    assert not toolchain.session()


def _overwrite(path: Path) -> None:
    """Other bytes in the same file, with the times set back: what an upgrade in place may do."""
    info = path.stat()
    with open(path, "r+b") as file:
        file.write(b"\x7fELF")
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def _switch(toolchain: Toolchain) -> None:
    shutil.copy("/bin/true", toolchain.driver.parent / "gcc-13")
    toolchain.driver.unlink()
    toolchain.driver.symlink_to("gcc-13")


def _prefix(toolchain: Toolchain) -> None:
    toolchain.env[b"GCC_EXEC_PREFIX"] = os.fsencode(toolchain.top / "opt" / "exec") + b"/"


CHANGES: dict[str, Callable[[Toolchain], object]] = {
    "driver overwritten": lambda t: _overwrite(t.driver.parent / "gcc-12"),
    "driver removed and made again": lambda t: shutil.copy("/bin/true", t.driver.parent / "gcc-12"),
    "link switched": _switch,
    "pass overwritten": lambda t: _overwrite(t.parts / "cc1"),
    "pass replaced": lambda t: os.replace(t.parts / "specs.old", t.parts / "cc1"),
    "spec file beside the passes": lambda t: (t.parts / "specs").write_text("*cc1:\n"),
    "spec file above": lambda t: (t.parts.parent / "specs").write_text("*cc1:\n"),
    "searched directory appears": lambda t: t.other.mkdir(parents=True),
    "pass in COMPILER_PATH": lambda t: shutil.copy("/bin/true", t.top / "opt" / "parts" / "cc1"),
    "COMPILER_PATH given": lambda t: t.env.update({b"COMPILER_PATH": os.fsencode(t.top / "opt" / "exec")}),
    "GCC_EXEC_PREFIX given": _prefix,
    "program on PATH": lambda t: shutil.copy("/bin/true", t.driver.parent / "as"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_is_asked_again(toolchain: Toolchain, change: str) -> None:
    toolchain.session()
    assert not toolchain.session()
    CHANGES[change](toolchain)
    assert toolchain.session()
    time.sleep(0.12)
    toolchain.session()
    assert not toolchain.session()


def test_what_has_just_changed_is_not_kept(tmp_path: Path) -> None:
    fresh = Toolchain(tmp_path / "a" / "b" / "top")
    assert fresh.session()
    assert fresh.session()


@pytest.mark.parametrize("flag", [b"-march=native", b"-B/opt", b"-specs=x", b"--sysroot=/x"])
def test_questions_that_are_never_kept(toolchain: Toolchain, flag: bytes) -> None:
    toolchain.flags = (flag, b"-###")
    assert toolchain.session()
    assert toolchain.session()


def test_scripts_and_clang_are_never_kept(toolchain: Toolchain) -> None:
    toolchain.said += "clang version 14\n"
    assert toolchain.session()
    assert toolchain.session()
    toolchain.said = toolchain.said.replace("clang", "gcc")
    (toolchain.driver.parent / "gcc-12").write_text("#!/bin/sh\n")
    time.sleep(0.12)
    assert toolchain.session()
    assert toolchain.session()


def test_a_damaged_file_is_no_file(toolchain: Toolchain) -> None:
    toolchain.session()
    kept = toolchain.top.parent / "answers-one"
    whole = kept.read_bytes()
    for data in (b"", whole[:-7], b"\xc1" + whole[1:], b"\x92\x02\x90"):
        kept.write_bytes(data)
        (toolchain.top.parent / "cache" / "answers").write_bytes(data)
        assert toolchain.session()
        kept.unlink(missing_ok=True)


def test_where_it_cannot_be_written_it_is_left_out(tmp_path: Path, toolchain: Toolchain) -> None:
    answers = Answers(os.fsencode(tmp_path / "no" / "such" / "answers"), toolchain.run)
    answers.ask((os.fsencode(toolchain.driver), b"-v"), toolchain.env, b"/")
    answers.flush()
    assert not (tmp_path / "no").exists()


def test_workspaces_share_their_answers(toolchain: Toolchain) -> None:
    assert toolchain.session("one")
    assert not toolchain.session("two")
    shutil.rmtree(toolchain.top.parent / "cache")
    assert not toolchain.session("two"), "what was taken over is kept"
    assert toolchain.session("three")


def test_a_shared_answer_that_no_longer_holds_is_replaced(toolchain: Toolchain) -> None:
    assert toolchain.session("one")
    (toolchain.parts / "specs").write_text("")
    time.sleep(0.12)
    assert toolchain.session("two")
    assert not toolchain.session("three")


@pytest.mark.parametrize(
    ("status", "said", "kept"),
    [
        (1, "gcc: error: unrecognized command-line option '-fnope'\n", True),
        (1, "cc1: error while loading shared libraries: libc.so.6: failed to map segment from shared object\n", False),
        (1, "gcc: fatal error: Killed signal terminated program cc1\n", False),
        (1, "gcc: fatal error: cannot execute 'cc1': vfork: Resource temporarily unavailable\n", False),
        (127, "[Errno 24] Too many open files: '/usr/bin/gcc'", False),
        (-9, "", False),
    ],
)
def test_a_failure_that_is_the_machines_is_not_kept(toolchain: Toolchain, status: int, said: str, kept: bool) -> None:
    toolchain.said, toolchain.status = said, status
    assert toolchain.session()
    assert toolchain.session() is not kept
