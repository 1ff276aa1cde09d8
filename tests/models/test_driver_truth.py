"""The model against the compilers themselves: each command is run, and what appears is compared with the Draft.

The compilers are gcc and clang of the machine; both must be there.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

from gg.models.drafts import Call, Completed, Draft, PathKind, Tool
from gg.models.driver.model import DriverModel
from tests.models.binutils_probe import DiskProbe

FILES = {
    "src/a.c": '#include "h.h"\nint main(void) { return 0; }\n',
    "src/b.c": "int g(void) { return 2; }\n",
    "src/c.cc": '#include "h.h"\nint f() { return 1; }\n',
    "src/m.cc": "int main() { return 0; }\n",
    "src/h.h": "#define USED 1\n",
    "a b#c$d.c": "int q;\n",
    "text": "int q;\n",
    "pre.i": "int q;\n",
    "p.S": '#include "src/h.h"\n',
    "s.s": ".globl x\nx: nop\n",
    "v.map": "{ global: g; local: *; };\n",
    "args": "-c -o 'obj/from args.o' -DX='\"q\"'\n",
}

BOTH = """
-c src/a.c
-c src/a.c -o obj/y.o
-c -oobj/y.o src/a.c
-S src/a.c
-S src/a.c -o obj/y.s
-E src/a.c -o y.i
-c src/a.c src/b.c p.S s.s
-c 'a b#c$d.c'
@args src/b.c
-x c -c text -o obj/z.o
-c pre.i
-c p.S -Wa,--noexecstack
-c s.s -o obj/s.o
src/a.c
src/a.c src/b.c -o obj/prog
src/a.c s.s -o obj/prog
-shared -fPIC src/b.c -o b.so
-shared -fPIC src/b.c -o b.so -Wl,--version-script=v.map -Wl,-soname,b.so.1
-r -nostdlib src/b.c -o b.o
src/a.c -o prog -Wl,-Map,prog.map
src/a.c -o prog -Wl,-Map=obj/prog.map,--dependency-file=prog.d
src/h.h
-x c-header -c src/h.h -o obj/h.h.gch
-MD -c src/a.c
-MMD -MP -c src/a.c -o obj/y.o
-MD -c src/a.c -o obj/y
-MD -S src/a.c
-MD -S src/a.c -o obj/y.s
-MD -E src/a.c -o y.i
-MD -MF obj/dep -c src/a.c
-MMD -MT t1 -MQ 'q $1' -MT 't $2' -c src/a.c
-MD -MQ 'c\\ d#e' -MQ a:b -MQ 'p%f' -c src/a.c
-MD -c 'a b#c$d.c'
-MD -c 'a b#c$d.c' -o 'obj/a b:c#d$e.o'
-MD src/a.c -o obj/prog
-MD src/a.c -o obj/prog.exe
-MD src/a.c
-MD src/a.c src/b.c -o obj/prog
-MD -c p.S -o obj/p.o
-MD -c s.s -o obj/s.o
-MD src/h.h -o obj/h.h.gch
-MD -c src/a.c src/b.c -MF all.d
-Wp,-MD,dd.d -c src/a.c
-Wp,-MMD,dd.d -c src/a.c -o obj/y.o
--coverage -c src/a.c
--coverage -c src/a.c -o obj/y.x.o
--coverage -S src/a.c -o obj/y.s
--coverage -c src/a.c src/b.c p.S
-fstack-usage -c src/a.c
-fstack-usage -c src/a.c -o obj/y
-g -gsplit-dwarf -c src/a.c
-g -gsplit-dwarf -c src/a.c p.S s.s
-g -gsplit-dwarf -c src/a.c -o obj/y.o
-save-temps -c src/a.c
-save-temps -c src/a.c -o obj/y.o
-save-temps=obj -c src/a.c -o obj/y.o
-save-temps=obj -S src/a.c -o obj/y.s
-save-temps=cwd -c src/a.c -o obj/y.o
-save-temps -c p.S s.s
-save-temps src/a.c -o obj/prog
-save-temps src/a.c s.s -o obj/prog
-save-temps=obj src/a.c src/b.c -o obj/prog
-save-temps -x c++ -c src/b.c
-flto -c src/a.c
-march=native -O2 -g -c src/b.c
--include-directory=src --define-macro=X --output=foo.o --compile src/a.c
"""
GCC = """
-MD -shared -fPIC src/b.c
--coverage src/a.c -o obj/prog
--coverage src/a.c -o obj/a
--coverage src/a.c -o obj/a.exe
--coverage src/a.c s.s -o obj/a
--coverage src/a.c
--coverage src/a.c src/b.c
--coverage -shared -fPIC src/b.c -o libb.so
-fprofile-arcs -ftest-coverage -fprofile-note=zz.gcno -c src/b.c
-fstack-usage src/a.c src/b.c -o obj/prog
-g -gsplit-dwarf src/a.c src/b.c -o obj/prog
-gsplit-dwarf -g0 -c src/b.c
-save-temps=cwd src/a.c -o obj/prog
-save-temps=cwd --coverage -MD -c src/a.c -o obj/q.o
-save-temps -gsplit-dwarf --coverage -fstack-usage src/b.c src/a.c -o obj/p
-Wp,-MMD,dd.d,-MT,tt -c src/a.c -o obj/y.o
-Xpreprocessor -MD -Xpreprocessor dd.d -MT tt -c src/a.c
-Wa,-adhlns=x.lst -c src/a.c
-fcallgraph-info=su -c src/a.c -o obj/y.o
-aux-info protos.X -c src/a.c
-flto -save-temps -c src/b.c
-flto src/a.c src/b.c -o prog
--assemble src/a.c
"""
CLANG = """
-emit-llvm -c src/a.c
-emit-llvm -S src/a.c
-ftime-trace -c src/a.c -o obj/y.o
-fuse-ld=lld src/a.c -o prog
"""


def _lines() -> list[str]:
    lines = [f"{tool} {rest}" for tool in ("gcc", "clang") for rest in BOTH.strip().split("\n")]
    lines += [f"gcc {rest}" for rest in GCC.strip().split("\n")]
    lines += [f"clang {rest}" for rest in CLANG.strip().split("\n")]
    lines += ["g++ -MD -c src/c.cc", "g++ src/m.cc src/c.cc -o prog", "clang++ src/m.cc -o prog", "c99 -c src/b.c"]
    return [*lines, "g++ -save-temps src/m.cc -o prog", "cpp src/a.c out.i", "cc -static src/a.c -o prog"]


class _Probe(DiskProbe):
    """The real disk; what a compiler answered is remembered, as a session does."""

    def __init__(self) -> None:
        self._answers: dict[object, Completed] = {}

    def run(self, argv: Sequence[bytes], env: Mapping[bytes, bytes], cwd: bytes = b"/") -> Completed:
        key = (tuple(argv), tuple(sorted(env.items())), cwd)
        if key not in self._answers:
            self._answers[key] = super().run(argv, env, cwd)
        return self._answers[key]

    def read_part(self, path: bytes, offset: int, size: int) -> bytes:
        with open(path, "rb") as file:
            file.seek(offset)
            return file.read(size)


@cache
def _machine() -> tuple[DriverModel, _Probe]:
    return DriverModel(), _Probe()


def _workspace(top: Path) -> Path:
    for name, content in FILES.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (top / "obj").mkdir()
    return top


def _call(line: str, cwd: Path) -> Call:
    argv = tuple(map(os.fsencode, shlex.split(line)))
    program = shutil.which(argv[0])
    assert program is not None, f"{argv[0]!r} is not installed"
    env = {b"PATH": b"/usr/bin:/bin", b"PWD": os.fsencode(cwd)}
    return Call(Tool(argv[0].decode(), program), argv, os.fsencode(cwd), env)


def _run(call: Call) -> str:
    env = {**call.env, b"LC_ALL": b"C"}
    done = subprocess.run(call.argv, executable=call.tool.path, cwd=call.cwd, env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def _files(top: Path) -> set[str]:
    return {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}


@pytest.mark.parametrize("line", _lines())
def test_what_appears_is_what_the_draft_says(line: str, tmp_path: Path) -> None:
    top = _workspace(tmp_path / "ws")
    model, probe = _machine()
    call = _call(line, top)
    draft = model(call, probe)
    assert isinstance(draft, Draft), draft
    before = _files(top)
    _run(call)
    assert _files(top) - before == {os.fsdecode(output.path) for output in draft.outputs}
    for output in draft.outputs:
        assert os.access(os.path.join(call.cwd, output.path), os.X_OK) == output.executable
    if draft.depfile is not None:
        rule = (top / os.fsdecode(draft.depfile.path)).read_bytes().replace(b"\\\n", b"")
        assert rule.startswith(b" ".join(draft.depfile.targets) + b":")
        assert (b"\nsrc/h.h:" in rule) == (draft.depfile.phony and "Wl" not in line)


@pytest.mark.parametrize(
    "line",
    [
        "gcc src/a.c -o prog",
        "gcc -static src/a.c -o prog",
        "gcc -pthread -fopenmp src/a.c -o prog -lm",
        "gcc -flto src/a.c -o prog",
        "g++ src/m.cc -o prog",
        "g++ -shared -fPIC src/c.cc -o l.so",
        "clang src/a.c -o prog",
        "clang++ src/m.cc -o prog -fuse-ld=lld",
    ],
)
def test_what_the_linker_opens_is_an_input(line: str, tmp_path: Path) -> None:
    top = _workspace(tmp_path / "ws")
    model, probe = _machine()
    draft = model(_call(line, top), probe)
    assert isinstance(draft, Draft), draft
    declared = {probe.realpath(os.path.join(os.fsencode(top), path)) for path in draft.inputs}
    opened = [word for word in _run(_call(f"{line} -Wl,-t", top)).split() if word.startswith("/")]
    real = {probe.realpath(os.fsencode(word)) for word in opened if not word.startswith("/tmp/")}
    assert len(real) > 3
    assert real <= declared
    assert all(probe.kind(path) is PathKind.FILE for path in draft.tools)


def test_profiles_are_read_where_the_model_says(tmp_path: Path) -> None:
    """GCC names the file that it did not find."""
    top = _workspace(tmp_path / "ws")
    model, probe = _machine()
    for rest in ("-c src/b.c -o obj/y.o", "-c src/b.c", "src/b.c -shared -fPIC -o obj/l.so"):
        for use in ("-fprofile-use", "-fprofile-use=prof", "-fprofile-use -fprofile-dir=pd"):
            call = _call(f"gcc {use} -Wmissing-profile {rest}", top)
            draft = model(call, probe)
            assert isinstance(draft, Draft), draft
            env = {**call.env, b"LC_ALL": b"C"}
            done = subprocess.run(call.argv, cwd=top, env=env, capture_output=True, check=True)
            assert len(draft.optional_inputs) == 1
            assert b"'" + draft.optional_inputs[0] + b"' profile count data file not found" in done.stderr
