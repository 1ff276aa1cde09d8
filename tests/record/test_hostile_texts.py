"""Texts of a stranger's tree that gg reads, and that make, the shell or ninja need not have read."""

from __future__ import annotations

import glob
import os
import struct
from pathlib import Path

import pytest

from gg.errors import FormatError
from gg.formats import ninja_build_log, ninja_log
from gg.record import protocol
from gg.record.called_tools import operands
from gg.record.hearers.makefile import Makefiles
from tests.support.traps import trap

MAKEFILE = """\
ifdef NEVER
include {trap}
endif
-include also
x.o: x.c
\tgcc -c x.c
"""


@pytest.fixture(params=["pipe", "device", "holes"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_makefiles_are_read_past_it(kind: str, tmp_path: Path) -> None:
    trap(tmp_path / "trap", kind)
    (tmp_path / "Makefile").write_text(MAKEFILE.format(trap="trap"))
    (tmp_path / "also").write_text("y.o: y.c\n\t-gcc -c y.c\n")
    assert Makefiles().of([b"make"], bytes(tmp_path)).ignored


def test_ninjas_logs_are_let_be(kind: str, tmp_path: Path) -> None:
    for name in (".ninja_deps", ".ninja_log"):
        trap(tmp_path / name, kind)
    top = bytes(tmp_path)
    ninja_log.update(top, {top + b"/x.o": b"x.o: x.c\n"})
    ninja_build_log.forget(top, [top + b"/x.o"])


def test_a_response_file_names_nothing(kind: str, tmp_path: Path) -> None:
    trap(tmp_path / "trap", kind)
    assert operands([b"gcc", b"@trap"], bytes(tmp_path)) == [b"@trap"]


@pytest.mark.parametrize("name", [ninja_log.NAME, ninja_build_log.NAME])
def test_logs_of_other_trees_are_let_be(name: bytes, tmp_path: Path) -> None:
    """Of one whose name begins alike, and of one to which a link leads."""
    for directory in ("tree", "tree2"):
        (tmp_path / directory).mkdir()
    (tmp_path / "tree2" / os.fsdecode(name)).touch()
    (tmp_path / "tree" / "link").symlink_to("../tree2")
    top = bytes(tmp_path / "tree")
    assert ninja_log.directory_of(top + b"2/x.o", top, name) is None
    assert ninja_log.directory_of(top + b"/link/x.o", top, name) is None
    assert ninja_log.directory_of(bytes(tmp_path) + b"/tree2/x.o", bytes(tmp_path) + b"/tree2", name)


def test_a_request_that_calls_nothing_is_refused() -> None:
    """Any process of the build can send one, and the recorder goes on."""

    def request(op: int, words: bytes) -> bytes:
        head = struct.pack("<BBHIIII64s", protocol.VERSION, op, 0, 0, 0, words.count(b"\0"), 0, bytes(64))
        return head + b"/usr/bin/gcc\0/\0" + words

    assert protocol.parse_request(request(protocol.Op.CALL, b"gcc\0")).argv == (b"gcc",)
    assert protocol.parse_request(request(protocol.Op.FORCE, b"")).argv == ()
    with pytest.raises(FormatError, match="calls nothing"):
        protocol.parse_request(request(protocol.Op.CALL, b""))


def test_no_include_has_the_whole_disk_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "rules.mk").write_text("y.o: y.c\n\t-gcc -c y.c\n")
    (tmp_path / "Makefile").write_text("ifdef NEVER\ninclude /*/*/*/*/*\nendif\ninclude */*/rules.mk\n")
    seen: list[bytes] = []
    find = glob.glob

    def remembered(path: bytes) -> list[bytes]:
        seen.append(path)
        return find(path)

    monkeypatch.setattr(glob, "glob", remembered)
    assert Makefiles().of([b"make"], bytes(tmp_path)).ignored
    assert seen == [bytes(tmp_path) + b"/*/*/rules.mk"]
