"""This machine's compilers in a root that has nothing of this machine's /usr: the bytes of the plain command."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gg.core.colour import ColourForm, shown
from gg.core.ids import BlobId, SandboxPath
from gg.core.thunk import Directory, File, Output, Symlink, Thunk, Work
from gg.host.trees import hash_file
from gg.schedule.events import Fault
from gg.store.base import blob_key, read_blob
from gg.store.directory import DirectoryStore
from gg.store.memory import MemoryStore
from gg.wire.reply import Refused, Succeeded, ToolFailed
from gg.workspace.workspace import read_placeholder
from tests.e2e.project import Project
from tests.elsewhere.bare import Bare
from tests.elsewhere.remote import Remote

SOURCES = {
    "main.c": '#include <stdio.h>\n#include "sub/own.h"\nint other(int);\n'
    'int main(void) { printf("%s %d\\n", __FILE__, other(OWN)); return 0; }\n',
    "other.c": '#include "sub/own.h"\nint other(int x) { return x * OWN; }\n',
    "sub/own.h": "#pragma once\n#define OWN 42\n",
    "a.cc": "#include <iostream>\n#include <map>\nint f() { std::map<int, int> m; std::cout << m.size(); return 0; }\n",
    "x.S": '#include "sub/own.h"\n.globl f\nf: mov $OWN, %eax\n ret\n',
    "n.asm": "section .text\nglobal f\nf: mov eax, 3\n ret\n",
}

CASES = {
    "gcc": "gcc -g -O2 -c main.c -o main.o",
    "g++": "g++ -g -O1 -c a.cc",
    "native": "gcc -march=native -g -O2 -c other.c; clang -march=native -g -O2 -c main.c",
    "save-temps": "gcc -save-temps -c other.c",
    "link": "gcc -c main.c other.c; gcc main.o other.o -o prog",
    "archive": "gcc -c other.c main.c; ar rcs lib.a other.o; ranlib lib.a; gcc main.o lib.a -o prog; strip prog",
    "gold": "gcc -c main.c other.c; gcc -fuse-ld=gold main.o other.o -o prog",
    "lld": "gcc -c main.c other.c; gcc -fuse-ld=lld main.o other.o -o prog",
    "assembler": "gcc -c x.S; nasm -felf64 -g n.asm -o n.o; gcc -S other.c; as other.s -o other.o",
    "clang": "clang -g -O2 -c main.c other.c; clang main.o other.o -o prog",
    "cross": "aarch64-linux-gnu-gcc -g -O2 -c main.c other.c; aarch64-linux-gnu-gcc main.o other.o -o prog",
}


@contextmanager
def remote(bare: Bare, project: Project) -> Iterator[Remote]:
    store = DirectoryStore(os.fsencode(project.store))
    there = Remote(bare, store)
    try:
        yield there
    finally:
        there.close()
        store.close()


def test_nothing_of_this_machine_is_there(bare: Bare) -> None:
    """No /usr, no compiler, no shell; not root, no namespaces, nothing to write but /tmp."""
    program = (
        "import os, ctypes\n"
        "print([p for p in ('/usr', '/bin', '/etc/passwd', '/home') if os.path.exists(p)])\n"
        "print(os.getuid(), ctypes.CDLL(None).unshare(0x10000000))\n"
        "print([p for p in ('/', '/var/task', '/var/lang', '/tmp') if os.access(p, os.W_OK)])\n"
    )
    done = bare.run("-c", program)
    assert done.stdout.splitlines() == ["[]", "993 -1", "['/tmp']"], done.stderr


@pytest.mark.parametrize("name", CASES)
def test_the_same_bytes(name: str, bare: Bare, tmp_path: Path) -> None:
    project = Project(tmp_path / "project", {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": str(tmp_path)})
    for source, text in SOURCES.items():
        project.write(source, text)
    project.run("sh", "-c", CASES[name])
    made = [p for p in project.root.iterdir() if p.is_file() and p.name not in SOURCES]
    plain = {p: p.read_bytes() for p in made}
    for path in made:
        path.unlink()
    project.infer("sh", "-c", CASES[name])
    known = {p: read_placeholder(os.fsencode(p)) for p in made}
    assert any(known.values())
    with remote(bare, project) as there:
        there.force({each.thunk for each in known.values() if each})
        for place, each in known.items():
            value = there.cone.values[each.thunk][each.index] if each else None
            if each and value is not None:
                assert read_blob(there.store, value.blob) == plain[place], place.name
        assert there.runs <= 2 * len(there.cone.thunks) + 9, there.learned


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_words_in_colour_and_plain(compiler: str, bare: Bare, tmp_path: Path) -> None:
    project = Project(tmp_path / "project", {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": str(tmp_path)})
    source = project.write("a.c", "int f(void) { int unused; return 0; }\n")
    line = (compiler, "-Wall", "-c", "a.c")
    plain = project.run(*line).stderr
    coloured = project.run(*line, "-fdiagnostics-color=always").stderr
    project.path("a.o").unlink()
    project.infer(*line)
    placeholder = read_placeholder(os.fsencode(source.with_suffix(".o")))
    assert placeholder
    with remote(bare, project) as there:
        there.force([placeholder.thunk])
        words = there.cone.reductions[placeholder.thunk].stderr
    assert shown(words, ColourForm.PLAIN) == plain
    assert shown(words, ColourForm.COLOURS) == coloured != plain


class Shell:
    """Thunks of small commands, with what they read declared by hand."""

    def __init__(self, where: Path, bare: Bare) -> None:
        self.where = where
        self.there = Remote(bare, MemoryStore())

    def thunk(self, *argv: str, program: str, entries: tuple[File | Symlink | Directory, ...] = ()) -> Thunk:
        return Thunk(
            argv=tuple(os.fsencode(a) for a in argv),
            program=SandboxPath(program.encode()),
            cwd=SandboxPath(os.fsencode(self.where)),
            env=((b"LC_ALL", b"C"), (b"PATH", b"/usr/bin:/bin")),
            entries=tuple(sorted(entries, key=lambda e: e.path)),
            groups=(),
            outputs=(Output(SandboxPath(os.fsencode(self.where / "out"))),),
            work=Work.OTHER,
            model="test/1",
        )

    def file(self, path: Path) -> File:
        return File(SandboxPath(os.fsencode(path)), hash_file(str(path)), os.access(path, os.X_OK))

    def store(self, path: Path, data: bytes) -> File:
        blob = BlobId.of(data)
        self.there.store.put({blob_key(blob): data})
        return File(SandboxPath(os.fsencode(path)), blob)


@pytest.fixture
def shell(bare: Bare, tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path, bare)
    try:
        yield made
    finally:
        made.there.close()


def script(shell: Shell, text: str, *entries: File | Symlink | Directory) -> Thunk:
    return shell.thunk("sh", "-c", text, program=os.path.realpath("/bin/sh"), entries=entries)


def output(shell: Shell, result: object, thunk: Thunk) -> bytes:
    assert isinstance(result, Succeeded), result
    made = shell.there.reduction(thunk, result).outputs[0]
    assert made is not None
    return read_blob(shell.there.store, made.blob)


def test_what_is_not_declared_is_asked_for_at_home(shell: Shell) -> None:
    """The shell, its loader and its library, cat, a file, a directory: none is declared, all are found out."""
    (shell.where / "text").write_text("read\n")
    (shell.where / "empty").mkdir()
    thunk = script(shell, "cat text > out; test -d empty && echo there >> out; test -e nothing || echo not >> out")
    assert output(shell, shell.there.run(thunk), thunk) == b"read\nthere\nnot\n"
    assert {os.fsencode(shell.where / name) for name in ("text", "empty")} <= set(shell.there.learned)


def test_declared_links_and_directories(shell: Shell) -> None:
    """A link to a file, one to a directory, one that leads nowhere, a directory without a file."""
    where = os.fsencode(shell.where)
    entries = (
        shell.store(shell.where / "d" / "file", b"file\n"),
        Symlink(SandboxPath(where + b"/link"), b"d/file"),
        Symlink(SandboxPath(where + b"/dir"), b"d"),
        Symlink(SandboxPath(where + b"/nowhere"), b"d/none"),
        Directory(SandboxPath(where + b"/bare")),
    )
    text = "cat link dir/file bare/../dir/../d/file > out; readlink nowhere >> out; test -e nowhere || echo no >> out"
    thunk = script(shell, text, *entries)
    assert output(shell, shell.there.run(thunk), thunk) == b"file\nfile\nfile\nd/none\nno\n"


def test_this_worlds_own_files_are_not_seen(shell: Shell) -> None:
    """What stands in the worker's root is not there for a command, nor is its directory of the same name."""
    thunk = script(
        shell, "for p in /var/task /var/lang/bin/python3 /tmp/gg/objects; do test -e $p && echo $p; done > out; :"
    )
    assert output(shell, shell.there.run(thunk), thunk) == b""


def test_temporary_files_devices_and_the_working_directory(shell: Shell) -> None:
    text = 'pwd > out; echo x > "$TMPDIR/t"; cat "$TMPDIR/t" /dev/null >> out; cat < /dev/null; test -d . && mkdir d'
    thunk = script(shell, text)
    assert output(shell, shell.there.run(thunk), thunk) == os.fsencode(shell.where) + b"\nx\n"


def test_a_failing_command_is_told_exactly(shell: Shell) -> None:
    result = shell.there.run(script(shell, "echo out; echo err >&2; exit 7"))
    assert isinstance(result, ToolFailed)
    assert (result.status, result.stdout, result.stderr) == (7, b"out\n", b"err\n")


def test_a_static_program_is_for_another_engine(shell: Shell) -> None:
    (shell.where / "s.c").write_text("int main(void) { return 0; }\n")
    subprocess.run(["gcc", "-static", "-o", "s", "s.c"], cwd=shell.where, check=True)
    program = shell.file(shell.where / "s")
    own = shell.there.run(shell.thunk("./s", program=str(shell.where / "s"), entries=(program,)))
    inside = shell.there.run(script(shell, "./s", program))
    for result in (own, inside):
        assert isinstance(result, Refused)
        assert result.fault is Fault.TOO_BIG
        assert "s is linked statically" in result.message


def test_a_script_starts_by_its_interpreter(shell: Shell) -> None:
    path = shell.where / "made.sh"
    path.write_text("#!/bin/sh -e\necho $0 $1 > out\n")
    path.chmod(0o755)
    thunk = shell.thunk("./made.sh", "arg", program=str(path), entries=(shell.file(path),))
    assert output(shell, shell.there.run(thunk), thunk) == b"%s arg\n" % os.fsencode(path)


def test_libraries_by_run_path(shell: Shell) -> None:
    """A program of the build with a library of the build, found by $ORIGIN; another of that name stands elsewhere."""
    for name, number in (("lib", 1), ("other", 2)):
        (shell.where / name).mkdir()
        (shell.where / f"{name}.c").write_text(f"int f(void) {{ return {number}; }}\n")
        command = ["gcc", "-shared", "-fPIC", f"{name}.c", "-o", f"{name}/libown.so"]
        subprocess.run(command, cwd=shell.where, check=True)
    (shell.where / "main.c").write_text(
        '#include <stdio.h>\nint f(void);\nint main(void) { FILE *o = fopen("out", "w"); fprintf(o, "%d", f()); return 0; }\n'
    )
    for origin in ("lib", "other"):
        command = ["gcc", "main.c", "-o", f"prog-{origin}", f"-L{origin}", "-lown", f"-Wl,-rpath,$ORIGIN/{origin}"]
        subprocess.run(command, cwd=shell.where, check=True)
    files = [shell.file(shell.where / name) for name in ("prog-lib", "prog-other", "lib/libown.so", "other/libown.so")]
    for origin, said in (("lib", b"1"), ("other", b"2")):
        thunk = shell.thunk("prog", program=str(shell.where / f"prog-{origin}"), entries=tuple(files))
        assert output(shell, shell.there.run(thunk), thunk) == said
        inside = script(shell, f"./prog-{origin}", *files)
        assert output(shell, shell.there.run(inside), inside) == said


def test_a_deadline(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.elsewhere.remote._MILLISECONDS", 1500)
    result = shell.there.run(script(shell, "sleep 100"))
    assert isinstance(result, Refused)
    assert result.fault is Fault.TIMEOUT
    monkeypatch.setattr("tests.elsewhere.remote._MILLISECONDS", 60_000)
    thunk = script(shell, "echo again > out")
    assert output(shell, shell.there.run(thunk), thunk) == b"again\n"


def test_several_in_one_request(shell: Shell) -> None:
    """Each in a place of its own, with its own outcome: an error, a command that dies, one that hangs, and those around them."""
    thunks = [
        script(shell, "echo one > out"),
        script(shell, "echo 'x.c:1: error' >&2; exit 3"),
        script(shell, "echo left > out; echo more > beside; kill -9 $$"),
        script(shell, "sleep 100"),
        script(shell, "test ! -e beside; echo five > out"),
    ]
    results = shell.there.together(*thunks, milliseconds=3000)
    assert [type(result) for result in results] == [Succeeded, ToolFailed, Refused, Refused, Succeeded]
    assert [output(shell, results[n], thunks[n]) for n in (0, 4)] == [b"one\n", b"five\n"]
    failed, killed, hung = results[1:4]
    assert isinstance(failed, ToolFailed)
    assert (failed.status, failed.stderr) == (3, b"x.c:1: error\n")
    assert isinstance(killed, Refused)
    assert isinstance(hung, Refused)
    assert (killed.fault, hung.fault) == (Fault.LOST, Fault.TIMEOUT)


def test_outputs_share_the_room_in_the_reply(shell: Shell) -> None:
    """What has none left would go into the store, and there is none here."""
    first, second = script(shell, "echo 123456789 > out"), script(shell, "echo 987654321 > out")
    results = shell.there.together(first, second, reply=15)
    assert output(shell, results[0], first) == b"123456789\n"
    assert isinstance(results[1], Refused)
    assert "names no store" in results[1].message
