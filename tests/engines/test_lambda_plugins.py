"""Which thunks travel without the plugins of their archiver."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gg.core.codec import encode_group, group_id
from gg.core.ids import BlobId, GroupId, SandboxPath
from gg.core.thunk import File, Group, Symlink, Thunk, Work
from gg.engines.awslambda.plugins import Plugins, may_be_for_lto
from gg.run.expand import Groups
from gg.store.base import Key, Kind, blob_key
from gg.store.memory import MemoryStore

AR = SandboxPath(b"/usr/bin/ar")
SOURCE = "int f(int x) { return x + 1; }\n"


def _compiled(directory: Path, *command: str) -> bytes:
    (directory / "f.c").write_text(SOURCE)
    subprocess.run([*command, "-c", "f.c", "-o", "f.o"], cwd=directory, check=True)
    return (directory / "f.o").read_bytes()


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("gcc", "-g"), False),
        (("gcc", "-ffunction-sections"), False),
        (("gcc", "-flto"), True),
        (("gcc", "-flto", "-ffat-lto-objects"), True),
        (("aarch64-linux-gnu-gcc",), False),
        (("aarch64-linux-gnu-gcc", "-flto"), True),
        (("clang", "-g"), False),
        (("clang", "-flto"), True),
        (("clang", "-flto=thin"), True),
        (("clang", "-fembed-bitcode"), True),
    ],
    ids=str,
)
def test_an_object_and_an_archive_of_it(command: tuple[str, ...], expected: bool, tmp_path: Path) -> None:
    data = _compiled(tmp_path, *command)
    assert may_be_for_lto(data) is expected
    subprocess.run(["ar", "rcs", "f.a", "f.o"], cwd=tmp_path, check=True)
    assert may_be_for_lto((tmp_path / "f.a").read_bytes()) is expected


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"\x7fELF\2\1" + b"\xff" * 80, b"!<arch>\n", b"text"])
def test_what_is_no_object(data: bytes) -> None:
    assert may_be_for_lto(data) is False
    assert may_be_for_lto(data + b"BC\xc0\xde") is True


def _group(store: MemoryStore, *entries: File | Symlink) -> GroupId:
    data = encode_group(Group(tuple(sorted(entries, key=lambda e: e.path)), ()))
    name = group_id(data)
    store.put({Key(Kind.GROUP, name): data})
    return name


def test_the_group_of_plugins_is_left_out_unless_an_input_may_be_for_them() -> None:
    store = MemoryStore()
    plain, bitcode = b"an object", b"BC\xc0\xde and more"
    store.put({blob_key(BlobId.of(data)): data for data in (plain, bitcode)})
    program, library = (File(SandboxPath(p), BlobId.of(p), True) for p in (AR, b"/usr/lib/llvm/LLVMgold.so"))
    link = Symlink(SandboxPath(b"/usr/lib/bfd-plugins/LLVMgold.so"), b"../llvm/LLVMgold.so")
    tools, plugins, together = _group(store, program), _group(store, link, library), _group(store, program, link)
    known = Plugins(store, Groups(store))

    def thunk(*groups: GroupId, data: bytes = plain) -> Thunk:
        entries = (File(SandboxPath(b"/w/f.o"), BlobId.of(data)),)
        return Thunk(
            argv=(b"ar",), program=AR, cwd=SandboxPath(b"/w"), env=(), entries=entries, groups=groups, outputs=(),
            work=Work.ARCHIVE, model="ar/1",
        )  # fmt: skip

    directories = (SandboxPath(b"/usr/lib/bfd-plugins"),)
    assert known.without(thunk(tools, plugins)) == ((tools,), directories)
    assert known.without(thunk(tools)) == ((tools,), ())
    assert known.without(thunk(together)) == ((together,), ()), "the program is in it"
    assert known.needed(thunk(tools, plugins)) is False
    assert known.needed(thunk(tools, plugins, data=bitcode)) is True
    assert known.needed(thunk(tools, plugins, data=b"not in the store")) is True
