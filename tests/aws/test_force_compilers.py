"""Compilers of all kinds in Lambda's sandbox, through gg-force: other targets, clang, and this machine's own processor."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gg.core import placeholder
from gg.core.codec import decode_thunk, encode_thunk, thunk_id
from gg.store.base import Key, Kind
from gg.store.directory import DirectoryStore
from tests.e2e.project import Project
from tests.servers.deployed import Deployed, deployed
from tests.servers.functions_for_tests import create, zipped
from tests.servers.seaweed import Seaweed

SOURCES = {
    "part.h": "int part(int);\nint util(int);\n",
    "main.c": '#include <stdio.h>\n#include "part.h"\nint main(void) { return printf("%d\\n", part(util(2))) < 0; }\n',
    "part.c": '#include "part.h"\nint part(int x) { return x + 1; }\n',
    "util.c": '#include "part.h"\nint util(int x) { return x * 21; }\n',
    "v.c": "void scale(float *x, float *y) { for (int i = 0; i < 64; i++) x[i] = x[i] * y[i] + 2; }\n",
}


@pytest.fixture(scope="module")
def functions(seaweed_server: Seaweed) -> Iterator[Deployed]:
    with deployed(seaweed_server) as here:
        yield here


NATIVE = """all: gcc.o clang.o lto
gcc.o: v.c ; gcc -O3 -g -march=native -mno-fma -frecord-gcc-switches -c $< -o $@
clang.o: v.c ; clang -O3 -g -march=native -mtune=native -c $< -o $@
lto: v.c ; gcc -O3 -march=native -flto -frandom-seed=v -shared -fPIC $< -o $@
"""


def test_native_is_the_recorders_processor(here: Deployed, project: Project) -> None:
    project.write("Makefile", NATIVE)
    plain, _ = project.plain("make")
    project.infer("make")
    assert set(project.forced("--fallback", "never").ran) == {"gcc.o", "clang.o", "lto"}
    project.assert_tree(plain)


OTHER = {
    "gcc": ("gcc -O3 -march=native", b"specs -march=x86-64 -mtune=generic", "gcc -O3 -march=x86-64 -mtune=generic"),
    "clang": ("clang -O3 -march=native", b"instead -march=x86-64", "clang -O3 -march=x86-64"),
}


@pytest.mark.parametrize("compiler", OTHER)
def test_the_worker_does_not_ask_its_own_processor(compiler: str, here: Deployed, project: Project) -> None:
    """As if it had been recorded on a machine with another one: what the thunk says of that counts."""
    native, told, same = OTHER[compiler]
    plain, _ = project.plain(*same.split(), "-c", "v.c")
    own, _ = project.plain(*native.split(), "-c", "v.c")
    assert own["v.o"].data != plain["v.o"].data, "this machine's processor has more than the first"
    project.infer(*native.split(), "-c", "v.c")
    change_thunk(project, "v.o", b"GG_ELSEWHERE", told)
    assert set(project.forced("--fallback", "never").ran) == {"v.o"}  # as it is now, and as it was recorded
    assert project.path("v.o").read_bytes() == plain["v.o"].data


def change_thunk(project: Project, output: str, variable: bytes, value: bytes) -> None:
    """Have the placeholder stand for its thunk with `variable` set so."""
    path = project.path(output)
    old = placeholder.parse(path.read_bytes())
    assert old is not None
    store = DirectoryStore(os.fsencode(project.store))
    try:
        thunk = decode_thunk(store.get([Key(Kind.THUNK, old.thunk)])[Key(Kind.THUNK, old.thunk)])
        assert variable in dict(thunk.env)
        encoded = encode_thunk(thunk._replace(env=tuple(sorted({**dict(thunk.env), variable: value}.items()))))
        store.put({Key(Kind.THUNK, thunk_id(encoded)): encoded})
    finally:
        store.close()
    path.write_bytes(placeholder.PlaceholderWriter(b"/bin/false").encode(thunk_id(encoded), old.index))


CROSS = """all: cross clang
cross: main.c part.c util.c part.h ; aarch64-linux-gnu-gcc -O2 -g main.c part.c util.c -o $@
clang: cmain.o cpart.o cutil.o ; clang -fuse-ld=lld $^ -o $@
c%.o: %.c part.h ; clang -O2 -g -c $< -o $@
"""


def test_a_cross_compiler_and_clang(here: Deployed, project: Project) -> None:
    """They run there, where nothing of this machine's /usr is: its compilers are not, nor what they read."""
    project.write("Makefile", CROSS)
    plain, _ = project.plain("make")
    project.infer("make")
    before = here.invocations()
    forced = project.forced("--fallback", "never")
    assert set(forced.ran) == {"cross", "clang", "cmain.o", "cpart.o", "cutil.o"}
    assert here.invocations() - before >= 5
    project.assert_tree(plain)
    assert plain["cross"].data[18:20] == b"\xb7\0", "of machine AArch64"
    assert_nothing_of_usr(here)


SEES = """import os
def handler(event, context):
    tops = ("/bin", "/lib", "/lib64", "/sbin", "/usr", "/opt", "/etc", "/home")
    return [os.path.realpath(os.path.join(at, name)) for top in tops for at, _, names in os.walk(top) for name in names]
"""
SHELL = {"bash", "cat", "cp", "env", "ls", "mkdir", "mv", "rm", "sh", "sleep"}


def assert_nothing_of_usr(here: Deployed) -> None:
    """All files of such a sandbox's system directories: a shell with its few programs, and libraries of its own."""
    client = here.functions.client()
    create(client, "sees", code=zipped({"app.py": SEES}), Handler="app.handler")
    seen = [Path(path) for path in json.loads(client.invoke(FunctionName="sees")["Payload"].read())]
    programs = {path.name for path in seen if path.parent.name in ("bin", "sbin")}
    assert programs <= SHELL
    assert "bash" in programs
    rest = [path for path in seen if path.parent.name not in ("bin", "sbin") and path.parts[1] != "etc"]
    assert rest
    assert not [path for path in rest if ".so" not in path.name], "libraries, and neither headers nor start files"
    foreign = ("LLVM", "clang", "cc1", "bfd", "lto", "opcodes", "isl", "mpfr", "aarch64")
    assert not [path for path in rest if any(name in str(path) for name in foreign)]
